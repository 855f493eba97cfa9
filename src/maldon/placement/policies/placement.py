"""Placement's rules: operators and services read everything, a project reads its own usage."""

from maldon.web.policy import Rule

_OPERATOR = "role:admin or role:service"
_PROJECT = "role:admin or role:service or (role:reader and project_id:%(project_id)s)"

RULES = (
    Rule("placement:resource_providers:list", _OPERATOR, "List resource providers."),
    Rule("placement:resource_providers:show", _OPERATOR, "Show a resource provider."),
    Rule("placement:resource_providers:create", _OPERATOR, "Create a resource provider."),
    Rule("placement:resource_providers:update", _OPERATOR, "Change a resource provider."),
    Rule("placement:resource_providers:delete", _OPERATOR, "Delete a resource provider."),
    Rule("placement:resource_providers:inventories:list", _OPERATOR, "List a provider's inventories."),
    Rule("placement:resource_providers:inventories:update", _OPERATOR, "Change a provider's inventories."),
    Rule("placement:resource_providers:usages", _OPERATOR, "Show a provider's usages."),
    Rule("placement:resource_providers:allocations:list", _OPERATOR, "List a provider's allocations."),
    Rule("placement:resource_providers:aggregates:list", _OPERATOR, "List a provider's aggregates."),
    Rule("placement:resource_providers:traits:list", _OPERATOR, "List a provider's traits."),
    Rule("placement:allocations:list", _OPERATOR, "Show a consumer's allocations."),
    Rule("placement:allocations:update", _OPERATOR, "Change a consumer's allocations."),
    Rule("placement:allocation_candidates:list", _OPERATOR, "List allocation candidates."),
    Rule("placement:resource_classes:list", _OPERATOR, "List resource classes."),
    Rule("placement:traits:list", _OPERATOR, "List traits."),
    Rule("placement:usages", _PROJECT, "Show the usage of a project."),
)
