"""Who sees which endpoint, and which policy is for which: OS-EP-FILTER, policies, OS-ENDPOINT-POLICY."""

from maldon.identity.api import endpoint_group, policy, policy_association, project_endpoint
from maldon.identity.route_shapes import Methods, kept

_GROUPS = "/v3/OS-EP-FILTER/endpoint_groups"
_GROUP = f"{_GROUPS}/{{endpoint_group_id}}"
_PROJECT = "/v3/OS-EP-FILTER/projects/{project_id}"
_POLICY = "/v3/policies/{policy_id}"
_OF_POLICY = f"{_POLICY}/OS-ENDPOINT-POLICY"
_GROUP_RULE = "identity:{}_endpoint_group_{}_project"


def _associated(noun: str) -> Methods:
    """A policy that is that of something."""
    name = f"policy_association_for_{noun}"
    return {
        "GET": (policy_association.check, f"identity:check_{name}"),
        "PUT": (policy_association.put, f"identity:create_{name}"),
        "DELETE": (policy_association.remove, f"identity:delete_{name}"),
    }


ROUTES: dict[str, Methods] = {
    _GROUPS: {
        "GET": (endpoint_group.index, "identity:list_endpoint_groups"),
        "POST": (endpoint_group.create, "identity:create_endpoint_group"),
    },
    _GROUP: kept("endpoint_group", (endpoint_group.show, endpoint_group.update, endpoint_group.remove)),
    f"{_GROUP}/endpoints": {
        "GET": (endpoint_group.endpoints, "identity:list_endpoints_associated_with_endpoint_group")
    },
    f"{_GROUP}/projects": {
        "GET": (endpoint_group.projects_with, "identity:list_projects_associated_with_endpoint_group")
    },
    f"{_GROUP}/projects/{{project_id}}": {
        "GET": (endpoint_group.project_with, _GROUP_RULE.format("get", "in")),
        "PUT": (endpoint_group.give, _GROUP_RULE.format("add", "to")),
        "DELETE": (endpoint_group.take, _GROUP_RULE.format("remove", "from")),
    },
    f"{_PROJECT}/endpoint_groups": {"GET": (endpoint_group.of_project, "identity:list_endpoint_groups_for_project")},
    "/v3/OS-EP-FILTER/endpoints/{endpoint_id}/projects": {
        "GET": (project_endpoint.projects_with, "identity:list_projects_for_endpoint")
    },
    f"{_PROJECT}/endpoints": {"GET": (project_endpoint.index, "identity:list_endpoints_for_project")},
    f"{_PROJECT}/endpoints/{{endpoint_id}}": {
        "GET": (project_endpoint.check, "identity:check_endpoint_in_project"),
        "PUT": (project_endpoint.give, "identity:add_endpoint_to_project"),
        "DELETE": (project_endpoint.take, "identity:remove_endpoint_from_project"),
    },
    "/v3/policies": {
        "GET": (policy.index, "identity:list_policies"),
        "POST": (policy.create, "identity:create_policy"),
    },
    _POLICY: kept("policy", (policy.show, policy.update, policy.remove)),
    f"{_OF_POLICY}/policy": {"GET": (policy_association.of_policy, "identity:get_policy_for_endpoint")},
    f"{_OF_POLICY}/endpoints": {"GET": (policy_association.endpoints, "identity:list_endpoints_for_policy")},
    f"{_OF_POLICY}/endpoints/{{endpoint_id}}": _associated("endpoint"),
    f"{_OF_POLICY}/services/{{service_id}}": _associated("service"),
    f"{_OF_POLICY}/services/{{service_id}}/regions/{{region_id}}": _associated("region_and_service"),
    "/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy": {
        "GET": (policy_association.of_endpoint, "identity:get_policy_for_endpoint")
    },
}
