"""Projects, their tags, and domains."""

from maldon.identity.policies.who import ADMIN, managers, readers
from maldon.web.policy import Rule

_OWN = "project_id:%(target.project.id)s"
_DOMAIN = "target.project.domain_id"
_OF_DOMAIN = "domain_id:%(target.domain.id)s or project_domain_id:%(target.domain.id)s"

RULES = (
    Rule("identity:get_project", readers(_DOMAIN, _OWN), "Show a project."),
    Rule("identity:list_projects", readers("target.domain_id"), "List projects."),
    Rule("identity:list_user_projects", readers("target.user.domain_id", "user_id:%(target.user.id)s"), "A user's."),
    Rule("identity:create_project", managers(_DOMAIN), "Create a project."),
    Rule("identity:update_project", managers(_DOMAIN), "Change a project."),
    Rule("identity:delete_project", managers(_DOMAIN), "Delete a project."),
    Rule("identity:list_project_tags", readers(_DOMAIN, _OWN), "List a project's tags."),
    Rule("identity:get_project_tag", readers(_DOMAIN, _OWN), "See whether a project has a tag."),
    Rule("identity:update_project_tags", managers(_DOMAIN, f"(role:admin and {_OWN})"), "Replace a project's tags."),
    Rule("identity:create_project_tag", managers(_DOMAIN, f"(role:admin and {_OWN})"), "Tag a project."),
    Rule("identity:delete_project_tag", managers(_DOMAIN, f"(role:admin and {_OWN})"), "Take a tag off a project."),
    Rule("identity:delete_project_tags", managers(_DOMAIN, f"(role:admin and {_OWN})"), "Take off all tags."),
    Rule("identity:get_domain", readers("target.domain.id", _OF_DOMAIN), "Show a domain."),
    Rule("identity:list_domains", readers("target.domain.id"), "List domains."),
    Rule("identity:create_domain", ADMIN, "Create a domain."),
    Rule("identity:update_domain", ADMIN, "Change a domain."),
    Rule("identity:delete_domain", ADMIN, "Delete a domain with all it holds."),
)
