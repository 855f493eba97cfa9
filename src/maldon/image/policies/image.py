"""Who may do what to images. The target is the image: its owner, its visibility, the asker's membership.

Node agents fill their caches with the role `agent`: they may look at and download every image.
"""

from maldon.web.policy import Rule

_OWNER = "role:admin or (role:member and project_id:%(project_id)s)"
_SHARED = (
    "(project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s)"
)

RULES = (
    Rule("get_images", "role:admin or role:agent or role:reader", "List the images one may see."),
    Rule("get_image", f"role:admin or role:agent or (role:reader and {_SHARED})", "See an image."),
    Rule("download_image", f"role:admin or role:agent or (role:member and {_SHARED})", "Download an image."),
    Rule("add_image", _OWNER, "Create an image for its owner."),
    Rule("modify_image", _OWNER, "Change an image, and its tags, and import staged bytes."),
    Rule("delete_image", _OWNER, "Delete an image."),
    Rule("upload_image", _OWNER, "Upload or stage the bytes of an image."),
    Rule("publicize_image", "role:admin", "Make an image public."),
    Rule("communitize_image", _OWNER, "Let everybody use an image who knows its id."),
    Rule("deactivate", _OWNER, "Forbid downloads of an image."),
    Rule("reactivate", _OWNER, "Allow downloads of an image again."),
)
