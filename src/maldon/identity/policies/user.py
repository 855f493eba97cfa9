"""Users."""

from maldon.identity.policies.who import managers, readers
from maldon.web.policy import Rule

_DOMAIN = "target.user.domain_id"

RULES = (
    Rule("identity:get_user", readers(_DOMAIN, "user_id:%(target.user.id)s"), "Show a user."),
    Rule("identity:list_users", readers("target.domain_id"), "List users."),
    Rule("identity:create_user", managers(_DOMAIN), "Create a user."),
    Rule("identity:update_user", managers(_DOMAIN), "Change a user."),
    Rule("identity:delete_user", managers(_DOMAIN), "Delete a user."),
)
