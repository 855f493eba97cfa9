"""The identity API as a table: path, method, handler, rule."""

from maldon.identity import routes_credential, routes_people, routes_places
from maldon.identity.api import discovery, endpoint, region, service, token
from maldon.identity.policies import catalog as catalog_rules
from maldon.identity.policies import credential as credential_rules
from maldon.identity.policies import group as group_rules
from maldon.identity.policies import limit as limit_rules
from maldon.identity.policies import project as project_rules
from maldon.identity.policies import role as role_rules
from maldon.identity.policies import token as token_rules
from maldon.identity.policies import user as user_rules
from maldon.identity.route_shapes import Methods, kept
from maldon.web.dialects import IDENTITY
from maldon.web.service import PUBLIC, Routes, Service

_ROUTES: dict[str, Methods] = {
    "/": {"GET": (discovery.versions, PUBLIC)},
    "/v3": {"GET": (discovery.version, PUBLIC)},
    "/v3/auth/tokens": {
        "POST": (token.create, PUBLIC),
        "GET": (token.show, "identity:validate_token"),
        "HEAD": (token.check, "identity:check_token"),
        "DELETE": (token.revoke, "identity:revoke_token"),
    },
    "/v3/auth/catalog": {"GET": (token.catalog, "identity:get_auth_catalog")},
    "/v3/auth/projects": {"GET": (token.own_projects, "identity:get_auth_projects")},
    "/v3/auth/domains": {"GET": (token.own_domains, "identity:get_auth_domains")},
    "/v3/auth/system": {"GET": (token.own_system, "identity:get_auth_system")},
    "/v3/domains": {
        "GET": (domain.index, "identity:list_domains"),
        "POST": (domain.create, "identity:create_domain"),
    },
    "/v3/domains/{domain_id}": kept("domain", (domain.show, domain.update, domain.remove)),
    "/v3/projects": {
        "GET": (project.index, "identity:list_projects"),
        "POST": (project.create, "identity:create_project"),
    },
    "/v3/projects/{project_id}": kept("project", (project.show, project.update, project.remove)),
    "/v3/projects/{project_id}/tags": {
        "GET": (project_tag.index, "identity:list_project_tags"),
        "PUT": (project_tag.replace, "identity:update_project_tags"),
        "DELETE": (project_tag.clear, "identity:delete_project_tags"),
    },
    "/v3/projects/{project_id}/tags/{tag}": {
        "GET": (project_tag.check, "identity:get_project_tag"),
        "PUT": (project_tag.put, "identity:create_project_tag"),
        "DELETE": (project_tag.remove, "identity:delete_project_tag"),
    },
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
    "/v3/services": {
        "GET": (service.index, "identity:list_services"),
        "POST": (service.create, "identity:create_service"),
    },
    "/v3/services/{service_id}": kept("service", (service.show, service.update, service.remove)),
    "/v3/endpoints": {
        "GET": (endpoint.index, "identity:list_endpoints"),
        "POST": (endpoint.create, "identity:create_endpoint"),
    },
    "/v3/endpoints/{endpoint_id}": kept("endpoint", (endpoint.show, endpoint.update, endpoint.remove)),
    "/v3/regions": {"GET": (region.index, "identity:list_regions"), "POST": (region.create, "identity:create_region")},
    "/v3/regions/{region_id}": {
        **kept("region", (region.show, region.update, region.remove)),
        "PUT": (region.create, "identity:create_region"),
    },
    **routes_places.ROUTES,
    **routes_people.ROUTES,
    **routes_credential.ROUTES,
}

# Whatever can be read can be asked for its headers alone.
ROUTES: Routes = {
    path: {"HEAD": methods["GET"], **methods} if "GET" in methods else methods for path, methods in _ROUTES.items()
}

SERVICE = Service(
    "identity",
    "/identity",
    5000,
    ROUTES,
    (
        *token_rules.RULES,
        *project_rules.RULES,
        *limit_rules.RULES,
        *user_rules.RULES,
        *group_rules.RULES,
        *role_rules.RULES,
        *catalog_rules.RULES,
        *credential_rules.RULES,
    ),
    IDENTITY,
)
