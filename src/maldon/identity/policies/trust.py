"""Trusts."""

from maldon.identity.policies.who import ADMIN, ADMIN_OR_SYSTEM_READER
from maldon.web.policy import Rule

_TRUSTOR, _TRUSTEE = "user_id:%(target.trust.trustor_user_id)s", "user_id:%(target.trust.trustee_user_id)s"
_EITHER = f"{ADMIN_OR_SYSTEM_READER} or {_TRUSTOR} or {_TRUSTEE}"

RULES = (
    Rule("identity:create_trust", _TRUSTOR, "Trust somebody."),
    Rule("identity:list_trusts", ADMIN_OR_SYSTEM_READER, "List every trust."),
    Rule("identity:list_trusts_for_trustor", f"{ADMIN_OR_SYSTEM_READER} or {_TRUSTOR}", "List a trustor's trusts."),
    Rule("identity:list_trusts_for_trustee", f"{ADMIN_OR_SYSTEM_READER} or {_TRUSTEE}", "List a trustee's trusts."),
    Rule("identity:get_trust", _EITHER, "Show a trust."),
    Rule("identity:delete_trust", f"{ADMIN} or {_TRUSTOR}", "End a trust."),
    Rule("identity:list_roles_for_trust", _EITHER, "List the roles that a trust gives."),
    Rule("identity:get_role_for_trust", _EITHER, "Show a role that a trust gives."),
)
