"""The two dialects of changing an image: JSON patch (v2.1), and its draft that puts the verb in the key (v2.0).

Both become a list of `Change`. An image is flat, so a path is one name.
"""

from collections.abc import Sequence
from typing import Any, Literal, cast

import msgspec

Verb = Literal["add", "replace", "remove"]
_VERBS: Sequence[Verb] = ("add", "replace", "remove")

V21 = "application/openstack-images-v2.1-json-patch"
V20 = "application/openstack-images-v2.0-json-patch"


class BadPatch(Exception):
    """The text is a sentence for whoever sent it."""


class Change(msgspec.Struct, frozen=True):
    """One step of a patch; `value` is UNSET for remove."""

    verb: Verb
    name: str
    value: Any = msgspec.UNSET


def changes_of(document: Any, media_type: str) -> list[Change]:
    """The steps of a decoded patch document. Raises BadPatch."""
    if not isinstance(document, list):
        raise BadPatch("Request body must be a JSON array of operation objects.")
    read = _v21 if media_type == V21 else _v20
    return [_change(*read(_object(item)), item) for item in document]


def _object(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise BadPatch("Operations must be JSON objects.")
    return item


def _v21(item: dict[str, Any]) -> tuple[Any, Any]:
    if "op" not in item or "path" not in item:
        raise BadPatch("Every operation needs 'op' and 'path'.")
    return item["op"], item["path"]


def _v20(item: dict[str, Any]) -> tuple[Any, Any]:
    verbs = [verb for verb in _VERBS if verb in item]
    if len(verbs) != 1:
        raise BadPatch("Every operation needs exactly one member named 'add', 'remove' or 'replace'.")
    return verbs[0], item[verbs[0]]


def _change(verb: Any, path: Any, item: dict[str, Any]) -> Change:
    if not isinstance(verb, str) or verb not in _VERBS:
        raise BadPatch("Operation must be 'add', 'remove' or 'replace'.")
    name = _name(path)
    if verb == "remove":
        return Change("remove", name)
    if "value" not in item:
        raise BadPatch(f"Operation '{verb}' requires a member named 'value'.")
    return Change(cast("Verb", verb), name, item["value"])


def _name(path: Any) -> str:
    """The one segment of a JSON pointer, unescaped."""
    if not isinstance(path, str) or not path.startswith("/") or "/" in path[1:] or len(path) < 2:
        raise BadPatch(f"Invalid JSON pointer for this resource: {str(path)[:100]!r}; give '/' and one name.")
    if "~" in path.replace("~0", "").replace("~1", ""):
        raise BadPatch("A '~' in a path is written '~0' (or '~1' for a '/').")
    return path[1:].replace("~1", "/").replace("~0", "~")
