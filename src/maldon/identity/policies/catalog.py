"""Services, endpoints, regions."""

from maldon.identity.policies.who import ADMIN, ADMIN_OR_SYSTEM_READER, ANYBODY
from maldon.web.policy import Rule


def _kept(noun: str, readers: str) -> tuple[Rule, ...]:
    return (
        Rule(f"identity:get_{noun}", readers, f"Show a {noun}."),
        Rule(f"identity:list_{noun}s", readers, f"List {noun}s."),
        Rule(f"identity:create_{noun}", ADMIN, f"Create a {noun}."),
        Rule(f"identity:update_{noun}", ADMIN, f"Change a {noun}."),
        Rule(f"identity:delete_{noun}", ADMIN, f"Delete a {noun}."),
    )


RULES = (
    *_kept("service", ADMIN_OR_SYSTEM_READER),
    *_kept("endpoint", ADMIN_OR_SYSTEM_READER),
    *_kept("region", ANYBODY),
)
