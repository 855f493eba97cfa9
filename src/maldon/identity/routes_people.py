"""Users and groups, roles and who has them where: path, method, handler, rule."""

from maldon.identity.api import grant, group, implied_role, project, role, role_assignment, user, user_password
from maldon.identity.route_shapes import Methods, kept
from maldon.web.service import PUBLIC


def _given(suffix: str = "") -> Methods:
    """One role given to somebody somewhere."""
    return {
        "GET": (grant.check, f"identity:check_{suffix or 'grant'}"),
        "PUT": (grant.put, f"identity:create_{suffix or 'grant'}"),
        "DELETE": (grant.remove, f"identity:revoke_{suffix or 'grant'}"),
    }


_GRANTS: Methods = {"GET": (grant.index, "identity:list_grants")}
_BELOW = "/inherited_to_projects"
_ON_PROJECT, _ON_DOMAIN, _ON_SYSTEM = "/v3/projects/{project_id}", "/v3/domains/{domain_id}", "/v3/system"
_PROJECT_BELOW, _DOMAIN_BELOW = (path.replace("/v3/", "/v3/OS-INHERIT/") for path in (_ON_PROJECT, _ON_DOMAIN))
_TO_USER, _TO_GROUP = "/users/{user_id}/roles", "/groups/{group_id}/roles"

ROUTES: dict[str, Methods] = {
    "/v3/users": {"GET": (user.index, "identity:list_users"), "POST": (user.create, "identity:create_user")},
    "/v3/users/{user_id}": kept("user", (user.show, user.update, user.remove)),
    "/v3/users/{user_id}/password": {"POST": (user_password.change, PUBLIC)},
    "/v3/users/{user_id}/groups": {"GET": (user.groups, "identity:list_groups_for_user")},
    "/v3/users/{user_id}/projects": {"GET": (project.of_user, "identity:list_user_projects")},
    "/v3/groups": {"GET": (group.index, "identity:list_groups"), "POST": (group.create, "identity:create_group")},
    "/v3/groups/{group_id}": kept("group", (group.show, group.update, group.remove)),
    "/v3/groups/{group_id}/users": {"GET": (group.users, "identity:list_users_in_group")},
    "/v3/groups/{group_id}/users/{user_id}": {
        "GET": (group.check, "identity:check_user_in_group"),
        "PUT": (group.put, "identity:add_user_to_group"),
        "DELETE": (group.take, "identity:remove_user_from_group"),
    },
    "/v3/roles": {"GET": (role.index, "identity:list_roles"), "POST": (role.create, "identity:create_role")},
    "/v3/roles/{role_id}": kept("role", (role.show, role.update, role.remove)),
    "/v3/roles/{role_id}/implies": {"GET": (implied_role.index, "identity:list_implied_roles")},
    "/v3/roles/{role_id}/implies/{implied_role_id}": {
        "GET": (implied_role.show, "identity:get_implied_role"),
        "HEAD": (implied_role.check, "identity:check_implied_role"),
        "PUT": (implied_role.put, "identity:create_implied_role"),
        "DELETE": (implied_role.remove, "identity:delete_implied_role"),
    },
    "/v3/role_inferences": {"GET": (implied_role.rules, "identity:list_role_inference_rules")},
    "/v3/role_assignments": {"GET": (role_assignment.index, "identity:list_role_assignments")},
    f"{_ON_PROJECT}{_TO_USER}": _GRANTS,
    f"{_ON_PROJECT}{_TO_GROUP}": _GRANTS,
    f"{_ON_DOMAIN}{_TO_USER}": _GRANTS,
    f"{_ON_DOMAIN}{_TO_GROUP}": _GRANTS,
    f"{_ON_SYSTEM}{_TO_USER}": {"GET": (grant.index, "identity:list_system_grants_for_user")},
    f"{_ON_SYSTEM}{_TO_GROUP}": {"GET": (grant.index, "identity:list_system_grants_for_group")},
    f"{_ON_PROJECT}{_TO_USER}/{{role_id}}": _given(),
    f"{_ON_PROJECT}{_TO_GROUP}/{{role_id}}": _given(),
    f"{_ON_DOMAIN}{_TO_USER}/{{role_id}}": _given(),
    f"{_ON_DOMAIN}{_TO_GROUP}/{{role_id}}": _given(),
    f"{_ON_SYSTEM}{_TO_USER}/{{role_id}}": _given("system_grant_for_user"),
    f"{_ON_SYSTEM}{_TO_GROUP}/{{role_id}}": _given("system_grant_for_group"),
    f"{_DOMAIN_BELOW}{_TO_USER}{_BELOW}": _GRANTS,
    f"{_DOMAIN_BELOW}{_TO_GROUP}{_BELOW}": _GRANTS,
    f"{_DOMAIN_BELOW}{_TO_USER}/{{role_id}}{_BELOW}": _given(),
    f"{_DOMAIN_BELOW}{_TO_GROUP}/{{role_id}}{_BELOW}": _given(),
    f"{_PROJECT_BELOW}{_TO_USER}/{{role_id}}{_BELOW}": _given(),
    f"{_PROJECT_BELOW}{_TO_GROUP}/{{role_id}}{_BELOW}": _given(),
}
