"""Policy documents kept for other services, and which endpoint each is for."""

from maldon.identity.policies.catalog import kept
from maldon.identity.policies.who import ADMIN, ADMIN_OR_SYSTEM_READER
from maldon.web.policy import Rule


def _associated(noun: str, called: str) -> tuple[Rule, ...]:
    name = f"policy_association_for_{noun}"
    return (
        Rule(f"identity:create_{name}", ADMIN, f"Make a policy that of {called}."),
        Rule(f"identity:check_{name}", ADMIN_OR_SYSTEM_READER, f"See whether a policy is that of {called}."),
        Rule(f"identity:delete_{name}", ADMIN, f"Make a policy no longer that of {called}."),
    )


RULES = (
    *kept("policy", ADMIN_OR_SYSTEM_READER, "policies"),
    *_associated("endpoint", "an endpoint"),
    *_associated("service", "a service"),
    *_associated("region_and_service", "a service in a region"),
    Rule("identity:get_policy_for_endpoint", ADMIN_OR_SYSTEM_READER, "Show the policy in force for an endpoint."),
    Rule("identity:list_endpoints_for_policy", ADMIN_OR_SYSTEM_READER, "List the endpoints that a policy is for."),
)
