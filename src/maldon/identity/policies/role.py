"""Roles, what they imply, and who has them where."""

from maldon.identity.policies.who import ADMIN, ADMIN_OR_SYSTEM_READER, readers
from maldon.web.policy import Rule

_MANAGER = f"{ADMIN_OR_SYSTEM_READER} or (role:manager and not domain_id:None)"
_TARGETS = (
    "domain_id:%(target.project.domain_id)s or domain_id:%(target.domain.id)s",
    "domain_id:%(target.user.domain_id)s or domain_id:%(target.group.domain_id)s",
)
_BOTH_ENDS = f"({_TARGETS[0]}) and ({_TARGETS[1]})"
_ORDINARY = "('manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s)"
_LOOK = f"{ADMIN_OR_SYSTEM_READER} or (role:reader and {_BOTH_ENDS})"
_GIVE = f"{ADMIN} or (role:manager and {_BOTH_ENDS} and {_ORDINARY})"


def _system(actor: str) -> tuple[Rule, ...]:
    return (
        Rule(f"identity:list_system_grants_for_{actor}", ADMIN_OR_SYSTEM_READER, f"List a {actor}'s system roles."),
        Rule(f"identity:check_system_grant_for_{actor}", ADMIN_OR_SYSTEM_READER, f"See a {actor}'s system role."),
        Rule(f"identity:create_system_grant_for_{actor}", ADMIN, f"Give a {actor} a role on the system."),
        Rule(f"identity:revoke_system_grant_for_{actor}", ADMIN, f"Take a {actor}'s role on the system."),
    )


RULES = (
    Rule("identity:get_role", _MANAGER, "Show a role."),
    Rule("identity:list_roles", _MANAGER, "List the roles of the cloud."),
    Rule("identity:create_role", ADMIN, "Create a role."),
    Rule("identity:update_role", ADMIN, "Change a role."),
    Rule("identity:delete_role", ADMIN, "Delete a role."),
    Rule("identity:get_domain_role", readers("target.role.domain_id"), "Show a role of a domain."),
    Rule("identity:list_domain_roles", readers("target.role.domain_id"), "List the roles of a domain."),
    Rule("identity:create_domain_role", ADMIN, "Create a role of a domain."),
    Rule("identity:update_domain_role", ADMIN, "Change a role of a domain."),
    Rule("identity:delete_domain_role", ADMIN, "Delete a role of a domain."),
    Rule("identity:get_implied_role", ADMIN_OR_SYSTEM_READER, "Show that a role implies another."),
    Rule("identity:list_implied_roles", ADMIN_OR_SYSTEM_READER, "List what a role implies."),
    Rule("identity:create_implied_role", ADMIN, "Make a role imply another."),
    Rule("identity:delete_implied_role", ADMIN, "End that a role implies another."),
    Rule("identity:check_implied_role", ADMIN_OR_SYSTEM_READER, "See whether a role implies another."),
    Rule("identity:list_role_inference_rules", ADMIN_OR_SYSTEM_READER, "List all implications."),
    Rule("identity:list_grants", _LOOK, "List somebody's roles on a target."),
    Rule("identity:check_grant", _LOOK, "See whether somebody has a role on a target."),
    Rule("identity:create_grant", _GIVE, "Give somebody a role on a target."),
    Rule("identity:revoke_grant", _GIVE, "Take somebody's role on a target."),
    *_system("user"),
    *_system("group"),
    Rule("identity:list_role_assignments", readers("target.domain_id"), "List who has which role where."),
    Rule(
        "identity:list_role_assignments_for_tree",
        readers("target.project.domain_id", "(role:admin and project_id:%(target.project.id)s)"),
        "List who has which role in a project and those below it.",
    ),
)
