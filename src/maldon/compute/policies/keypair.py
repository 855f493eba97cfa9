"""Who may do what with keypairs: their users; admins with anybody's."""

from maldon.web.policy import Rule

_OWNER = "role:admin or user_id:%(user_id)s"

RULES = (
    Rule("os_compute_api:os-keypairs:index", _OWNER, "List a user's keypairs."),
    Rule("os_compute_api:os-keypairs:create", _OWNER, "Make or import a keypair for a user."),
    Rule("os_compute_api:os-keypairs:show", _OWNER, "Show a user's keypair."),
    Rule("os_compute_api:os-keypairs:delete", _OWNER, "Delete a user's keypair."),
)
