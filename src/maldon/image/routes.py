"""The image API, v2: images and their bytes, tags, shares and schemas.

There is one store and so no /v2/info/stores, as in a Glance with one: clients would read and patch `stores` otherwise.
"""

from maldon.image.api import about, file, image, member, task
from maldon.image.policies import image as image_policies
from maldon.image.policies import member as member_policies
from maldon.web.dialects import IMAGE
from maldon.web.service import AUTHENTICATED, PUBLIC, Routes, Service

ROUTES: Routes = {
    "/": {"GET": (about.choices, PUBLIC)},
    "/versions": {"GET": (about.versions, PUBLIC)},
    "/versions/": {"GET": (about.versions, PUBLIC)},
    "/v2": {"GET": (about.choices, PUBLIC)},
    "/v2/": {"GET": (about.choices, PUBLIC)},
    "/v2/images": {"GET": (image.index, "get_images"), "POST": (image.create, "add_image")},
    "/v2/images/{id}": {
        "GET": (image.show, "get_image"),
        "PATCH": (image.update, "modify_image"),
        "DELETE": (image.delete, "delete_image"),
    },
    "/v2/images/{id}/file": {"GET": (file.download, "download_image"), "PUT": (file.upload, "upload_image")},
    "/v2/images/{id}/stage": {"PUT": (file.stage, "upload_image")},
    "/v2/images/{id}/import": {"POST": (file.take_in, "modify_image")},
    "/v2/images/{id}/tasks": {"GET": (task.index, "get_image")},
    "/v2/images/{id}/actions/deactivate": {"POST": (image.deactivate, "deactivate")},
    "/v2/images/{id}/actions/reactivate": {"POST": (image.reactivate, "reactivate")},
    "/v2/images/{id}/tags/{tag}": {
        "PUT": (image.add_tag, "modify_image"),
        "DELETE": (image.remove_tag, "modify_image"),
    },
    "/v2/images/{id}/members": {"GET": (member.index, "get_members"), "POST": (member.create, "add_member")},
    "/v2/images/{id}/members/{member_id}": {
        "GET": (member.show, "get_member"),
        "PUT": (member.update, "modify_member"),
        "DELETE": (member.remove, "delete_member"),
    },
    "/v2/schemas/{name}": {"GET": (about.schema, AUTHENTICATED)},
    "/v2/info/import": {"GET": (about.import_methods, AUTHENTICATED)},
    "/v2/info/usage": {"GET": (about.usage, AUTHENTICATED)},
}

SERVICE = Service(
    name="image",
    prefix="/image",
    port=9292,
    routes=ROUTES,
    rules=(*image_policies.RULES, *member_policies.RULES),
    dialect=IMAGE,
    ends_in_slash=False,
)
