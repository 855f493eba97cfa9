"""What an operator may set about identity. Nothing has to be set."""

from dataclasses import dataclass

from maldon.kernel.settings import option


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Tokens and passwords."""

    token_lifetime_s: int = option(3600, "Seconds that a token is valid after a login.")
    expired_window_s: int = option(172_800, "Seconds that a service may still look up a token after its end.")
    cached_tokens: int = option(4096, "Verified tokens that one process remembers.")
    active_keys: int = option(3, "Token keys kept when they are rotated: the staged one, the primary, older ones.")
    hash_memory_kib: int = option(19_456, "KiB of memory that hashing a password takes (argon2id).")
    hash_passes: int = option(2, "Passes that hashing a password takes (argon2id).")
    hashes_at_once: int = option(2, "Passwords hashed at the same time by one process; further logins wait.")


DEFAULTS = IdentitySettings()
