"""Groups and who is in them."""

from maldon.identity.policies.who import managers, readers
from maldon.web.policy import Rule

_DOMAIN = "target.group.domain_id"
_OWN = "user_id:%(target.user.id)s"
_BOTH = "(role:manager and domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s)"

RULES = (
    Rule("identity:get_group", readers(_DOMAIN), "Show a group."),
    Rule("identity:list_groups", readers("target.domain_id"), "List groups."),
    Rule("identity:list_groups_for_user", readers("target.user.domain_id", _OWN), "List the groups of a user."),
    Rule("identity:create_group", managers(_DOMAIN), "Create a group."),
    Rule("identity:update_group", managers(_DOMAIN), "Change a group."),
    Rule("identity:delete_group", managers(_DOMAIN), "Delete a group."),
    Rule("identity:list_users_in_group", readers(_DOMAIN), "List the users of a group."),
    Rule("identity:check_user_in_group", readers(_DOMAIN), "See whether a user is in a group."),
    Rule("identity:add_user_to_group", f"role:admin or {_BOTH}", "Put a user into a group."),
    Rule("identity:remove_user_from_group", f"role:admin or {_BOTH}", "Take a user out of a group."),
)
