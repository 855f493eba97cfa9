"""What things may be called. Lengths are bytes of UTF-8."""

from maldon.kernel.errors import BadRequest
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import HTML
from maldon.objectstore.settings import ObjectSettings


def check_names(path: Path, limits: ObjectSettings) -> None:
    """Raise BadRequest for a name that is too long to be made."""
    for kind, name, most in (
        ("Account", path.account, limits.max_account_name_length),
        ("Container", path.container, limits.max_container_name_length),
        ("Object", path.object, limits.max_object_name_length),
    ):
        if len(name) * 4 > most and (length := len(name.encode())) > most:
            error = BadRequest(f"{kind} name length of {length} longer than {most}")
            error.headers = (("Content-Type", HTML),)
            raise error
