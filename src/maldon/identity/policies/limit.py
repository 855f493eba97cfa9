"""Limits, registered for everybody or set for a project or domain."""

from maldon.identity.policies.who import ADMIN, ADMIN_OR_SYSTEM_READER, ANYBODY
from maldon.web.policy import Rule

_OWN = (
    "project_id:%(target.limit.project_id)s or domain_id:%(target.limit.domain_id)s"
    " or domain_id:%(target.limit.project.domain_id)s"
)

RULES = (
    Rule("identity:get_limit_model", ANYBODY, "See how limits relate."),
    Rule("identity:get_registered_limit", ANYBODY, "Show a registered limit."),
    Rule("identity:list_registered_limits", ANYBODY, "List registered limits."),
    Rule("identity:create_registered_limits", ADMIN, "Register limits."),
    Rule("identity:update_registered_limit", ADMIN, "Change a registered limit."),
    Rule("identity:delete_registered_limit", ADMIN, "Delete a registered limit."),
    Rule("identity:get_limit", f"{ADMIN_OR_SYSTEM_READER} or {_OWN}", "Show a limit; a list shows these only."),
    Rule("identity:list_limits", ANYBODY, "List the limits that one may see."),
    Rule("identity:create_limits", ADMIN, "Set limits for projects and domains."),
    Rule("identity:update_limit", ADMIN, "Change a limit."),
    Rule("identity:delete_limit", ADMIN, "Delete a limit."),
)
