"""Who may share images, and who may take what is shared."""

from maldon.web.policy import Rule

_OWNER = "role:admin or (role:member and project_id:%(project_id)s)"
_EITHER = "role:admin or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s))"

RULES = (
    Rule("add_member", _OWNER, "Share an image with a project."),
    Rule("delete_member", _OWNER, "Stop sharing an image with a project."),
    Rule("get_member", _EITHER, "See one project that an image is shared with."),
    Rule("get_members", _EITHER, "See whom an image is shared with."),
    Rule("modify_member", "role:admin or (role:member and project_id:%(member_id)s)", "Accept or reject an image."),
)
