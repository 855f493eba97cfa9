"""Who may do what with quotas: projects read their own, admins read and change all."""

from maldon.web.policy import Rule

_P = "os_compute_api:"
_READER = "role:admin or (role:reader and project_id:%(project_id)s)"

RULES = (
    Rule(_P + "os-quota-sets:show", _READER, "Show a project's quotas."),
    Rule(_P + "os-quota-sets:defaults", "", "Show the quotas a project has by default."),
    Rule(_P + "os-quota-sets:detail", _READER, "Show a project's quotas and what is used of them."),
    Rule(_P + "os-quota-sets:update", "role:admin", "Change a project's quotas."),
    Rule(_P + "os-quota-sets:delete", "role:admin", "Give a project the default quotas again."),
    Rule(_P + "os-quota-class-sets:show", "role:admin", "Show the quotas of a class."),
    Rule(_P + "os-quota-class-sets:update", "role:admin", "Change the quotas of a class."),
    Rule(_P + "limits", "", "Show the limits of one's own project."),
    Rule(_P + "limits:other_project", "role:admin", "Show the limits of another project."),
)
