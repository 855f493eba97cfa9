"""Application credentials and access rules, which are their user's own."""

from maldon.identity.policies.who import ADMIN, ADMIN_OR_SYSTEM_READER
from maldon.web.policy import Rule

_OWNER = "user_id:%(target.user.id)s"
_LOOK, _END = f"{ADMIN_OR_SYSTEM_READER} or {_OWNER}", f"{ADMIN} or {_OWNER}"

RULES = (
    Rule("identity:create_application_credential", _OWNER, "Make an application credential of one's own."),
    Rule("identity:list_application_credentials", _LOOK, "List a user's application credentials."),
    Rule("identity:get_application_credential", _LOOK, "Show an application credential."),
    Rule("identity:delete_application_credential", _END, "Delete an application credential."),
    Rule("identity:list_access_rules", _LOOK, "List a user's access rules."),
    Rule("identity:get_access_rule", _LOOK, "Show an access rule."),
    Rule("identity:delete_access_rule", _END, "Delete an access rule."),
)
