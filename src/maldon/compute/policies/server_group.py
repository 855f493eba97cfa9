"""Who may do what with server groups: readers of the project look, members change, admins see all."""

from maldon.compute.policies.server import ADMIN, MEMBER, READER
from maldon.web.policy import Rule

_P = "os_compute_api:os-server-groups:"

RULES = (
    Rule(_P + "index", READER, "List server groups."),
    Rule(_P + "index:all_projects", ADMIN, "List the server groups of all projects."),
    Rule(_P + "show", READER, "Show a server group."),
    Rule(_P + "create", MEMBER, "Create a server group."),
    Rule(_P + "delete", MEMBER, "Delete a server group."),
)
