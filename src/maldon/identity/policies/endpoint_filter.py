"""Which endpoints a project sees."""

from maldon.identity.policies.catalog import kept
from maldon.identity.policies.who import ADMIN, ADMIN_OR_SYSTEM_READER
from maldon.web.policy import Rule

RULES = (
    *kept("endpoint_group", ADMIN_OR_SYSTEM_READER),
    Rule(
        "identity:list_projects_associated_with_endpoint_group",
        ADMIN_OR_SYSTEM_READER,
        "List the projects that an endpoint group was given to.",
    ),
    Rule(
        "identity:list_endpoints_associated_with_endpoint_group",
        ADMIN_OR_SYSTEM_READER,
        "List the endpoints in an endpoint group.",
    ),
    Rule(
        "identity:get_endpoint_group_in_project",
        ADMIN_OR_SYSTEM_READER,
        "See whether an endpoint group was given to a project.",
    ),
    Rule(
        "identity:list_endpoint_groups_for_project",
        ADMIN_OR_SYSTEM_READER,
        "List the endpoint groups given to a project.",
    ),
    Rule("identity:add_endpoint_group_to_project", ADMIN, "Give an endpoint group to a project."),
    Rule("identity:remove_endpoint_group_from_project", ADMIN, "Take an endpoint group from a project."),
    Rule("identity:list_projects_for_endpoint", ADMIN_OR_SYSTEM_READER, "List the projects that have an endpoint."),
    Rule("identity:list_endpoints_for_project", ADMIN_OR_SYSTEM_READER, "List the endpoints given to a project."),
    Rule("identity:check_endpoint_in_project", ADMIN_OR_SYSTEM_READER, "See whether a project was given an endpoint."),
    Rule("identity:add_endpoint_to_project", ADMIN, "Give an endpoint to a project."),
    Rule("identity:remove_endpoint_from_project", ADMIN, "Take an endpoint from a project."),
)
