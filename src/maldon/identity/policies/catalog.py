"""Services, endpoints, regions."""

from maldon.identity.policies.who import ADMIN, ADMIN_OR_SYSTEM_READER, ANYBODY
from maldon.web.policy import Rule


def kept(noun: str, readers: str, plural: str = "") -> tuple[Rule, ...]:
    """The rules of a noun that is shown, listed, created, changed and deleted."""
    called = noun.replace("_", " ")
    article = "an" if noun[0] in "aeiou" else "a"
    return (
        Rule(f"identity:get_{noun}", readers, f"Show {article} {called}."),
        Rule(f"identity:list_{plural or noun + 's'}", readers, f"List {plural or called + 's'}."),
        Rule(f"identity:create_{noun}", ADMIN, f"Create {article} {called}."),
        Rule(f"identity:update_{noun}", ADMIN, f"Change {article} {called}."),
        Rule(f"identity:delete_{noun}", ADMIN, f"Delete {article} {called}."),
    )


RULES = (
    *kept("service", ADMIN_OR_SYSTEM_READER),
    *kept("endpoint", ADMIN_OR_SYSTEM_READER),
    *kept("region", ANYBODY),
)
