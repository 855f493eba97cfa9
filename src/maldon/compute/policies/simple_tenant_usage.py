"""Who may see what projects used: their readers, and admins all of it."""

from maldon.compute.policies.server import ADMIN, READER
from maldon.web.policy import Rule

RULES = (
    Rule("os_compute_api:os-simple-tenant-usage:list", ADMIN, "List what all projects used."),
    Rule("os_compute_api:os-simple-tenant-usage:show", READER, "Show what a project used."),
)
