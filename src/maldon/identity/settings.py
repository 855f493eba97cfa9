"""What an operator may set about identity. Nothing has to be set."""

import re
from dataclasses import dataclass

from maldon.kernel.settings import BadSetting, option

TOKEN_PROVIDERS = ("fernet", "uuid")
OWN_CATALOG = "sql"
LIMIT_MODELS = ("flat", "strict_two_level")


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Tokens and passwords."""

    token_lifetime_s: int = option(3600, "Seconds that a token is valid after a login.")
    expired_window_s: int = option(172_800, "Seconds that a service may still look up a token after its end.")
    cached_tokens: int = option(4096, "Verified tokens that one process remembers.")
    active_keys: int = option(3, "Token keys kept when they are rotated: the staged one, the primary, older ones.")
    hash_memory_kib: int = option(19_456, "KiB of memory that hashing a password takes (argon2id).")
    hash_passes: int = option(2, "Passes that hashing a password takes (argon2id).")
    signature_window_s: int = option(900, "Seconds that a signed request (EC2, S3, OAuth) is good for, both ways.")
    request_token_s: int = option(28_800, "Seconds that a user has to authorize an OAuth request token.")
    access_token_s: int = option(86_400, "Seconds that an OAuth access token lasts.")
    hashes_at_once: int = option(2, "Passwords hashed at the same time by one process; further logins wait.")
    lockout_attempts: int = option(0, "Wrong passwords in a row after which a user is locked out; 0 never.")
    lockout_s: int = option(1800, "Seconds that a user stays locked out after the last wrong password.")
    password_expires_days: int = option(0, "Days after which a password has to be changed; 0 never.")
    password_least_age_days: int = option(0, "Days that a user keeps a password of the own choice at least.")
    password_unique_last: int = option(0, "Last passwords, the present one included, that a user may not choose again.")
    password_pattern: str = option("", "Regular expression that a new password matches from its beginning.")
    password_words: str = option("", "What the pattern asks, in words for the user who missed it.")
    change_first_password: bool = option(False, "Whether a user has to change a password that somebody else set.")
    inactive_days: int = option(0, "Days without a login after which a user is disabled; 0 never.")
    project_depth: int = option(5, "Projects below one another in a domain, at most.")
    limits: str = option("flat", "How limits relate: flat, or strict_two_level (a domain's bound its projects').")
    tokens: str = option(
        "fernet", "How tokens are made: fernet (sealed, not stored) or uuid (short, kept in the key-value store)."
    )
    receipt_lifetime_s: int = option(300, "Seconds within which a login by several methods has to be completed.")
    passcode_steps_back: int = option(1, "Steps of 30 seconds that a one-time passcode may be late.")
    trust_redelegations: int = option(3, "How often a trust may be handed on, unless it says less itself.")
    external_header: str = option(
        "",
        "Header in which a web server in front names a user it knows; it must strip what clients send. Empty is off.",
    )
    external_domain_id: str = option("default", "Domain of the users whom a web server in front names.")
    catalog: str = option("sql", "Where the catalog is kept: sql, or the driver of one that is elsewhere (templated).")
    catalog_source: str = option("", "What that driver reads: for templated the path of a file.")
    directory_refresh_s: int = option(60, "Seconds between two looks at all users and groups of a domain's directory.")
    directory_listing_s: int = option(5, "Seconds that a listing of a directory's users or groups is good for.")
    directory_limit: int = option(10_000, "Users, and groups, that are fetched from one directory at most.")

    def __post_init__(self) -> None:
        """Raises BadSetting for what no login or request could live with later."""
        try:
            re.compile(self.password_pattern)
        except re.error as error:
            raise BadSetting(f"[identity] password_pattern is no regular expression: {error}.") from error
        if self.tokens not in TOKEN_PROVIDERS:
            raise BadSetting(f"[identity] tokens wants {' or '.join(TOKEN_PROVIDERS)}.")
        if self.limits not in LIMIT_MODELS:
            raise BadSetting(f"[identity] limits wants {' or '.join(LIMIT_MODELS)}, not {self.limits!r}.")


DEFAULTS = IdentitySettings()
