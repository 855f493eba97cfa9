"""Tokens and what they open."""

from maldon.identity.policies.who import ADMIN, ADMIN_OR_SYSTEM_READER, ANYBODY, SERVICE
from maldon.web.policy import Rule

_HOLDER = "user_id:%(target.token.user_id)s"

RULES = (
    Rule("identity:check_token", f"{ADMIN_OR_SYSTEM_READER} or {_HOLDER}", "See whether a token is valid."),
    Rule("identity:validate_token", f"{ADMIN_OR_SYSTEM_READER} or {SERVICE} or {_HOLDER}", "See what a token means."),
    Rule("identity:revoke_token", f"{ADMIN} or {_HOLDER}", "Revoke a token."),
    Rule("identity:list_revoke_events", f"{ADMIN_OR_SYSTEM_READER} or {SERVICE}", "List what was revoked of late."),
    Rule("identity:get_auth_catalog", ANYBODY, "See the catalog of one's own token."),
    Rule("identity:get_auth_projects", ANYBODY, "See the projects that one may have a token for."),
    Rule("identity:get_auth_domains", ANYBODY, "See the domains that one may have a token for."),
    Rule("identity:get_auth_system", ANYBODY, "See whether one may have a token for the system."),
    Rule("identity:revocation_list", f"{ADMIN} or {SERVICE}", "Ask for revoked tokens of a kind that is no more."),
)
