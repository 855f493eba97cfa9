"""Who may do what with flavors: everybody reads those they may use, admins make and share them."""

from maldon.web.policy import Rule

_P = "os_compute_api:"
_READER = "role:admin or role:reader"

RULES = (
    Rule(_P + "os-flavor-manage:create", "role:admin", "Create a flavor."),
    Rule(_P + "os-flavor-manage:update", "role:admin", "Describe a flavor."),
    Rule(_P + "os-flavor-manage:delete", "role:admin", "Delete a flavor."),
    Rule(_P + "os-flavor-access", "role:admin", "See and use every flavor, and the projects it is shared with."),
    Rule(_P + "os-flavor-access:add_tenant_access", "role:admin", "Share a flavor with a project."),
    Rule(_P + "os-flavor-access:remove_tenant_access", "role:admin", "Share a flavor with a project no longer."),
    Rule(_P + "os-flavor-extra-specs:index", _READER, "List a flavor's extra specs."),
    Rule(_P + "os-flavor-extra-specs:show", _READER, "Show one of a flavor's extra specs."),
    Rule(_P + "os-flavor-extra-specs:create", "role:admin", "Add extra specs to a flavor."),
    Rule(_P + "os-flavor-extra-specs:update", "role:admin", "Change one of a flavor's extra specs."),
    Rule(_P + "os-flavor-extra-specs:delete", "role:admin", "Remove one of a flavor's extra specs."),
)
