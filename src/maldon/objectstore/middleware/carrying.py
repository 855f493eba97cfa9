"""One object's bytes and metadata written as another's: what copies and versions have in common."""

from maldon.objectstore.middleware.layer import Handler
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import Given, ObjectRequest

AS_IT_IS = {"symlink": "get", "multipart-manifest": "get"}
"""Of a manifest or a link the thing itself, not what it stands for."""
SYNCED = "synced"  # of a request's facts: another cluster wrote it, and it is to be the same here
COPIED = "copied"  # of a request's facts: its headers are an object's own, sysmeta included
_ALONG = {
    "content-encoding", "content-disposition", "content-language", "cache-control", "expires", "x-delete-at",
    "x-object-manifest", "x-static-large-object",
}  # fmt: skip
META = ("x-object-meta-", "x-object-sysmeta-", "x-object-transient-sysmeta-")


def carried(got: Response) -> dict[str, str]:
    """What of an answer's headers is the object's own."""
    kept = {name: v for name, v in got.headers.items() if name in _ALONG or name.startswith(META)}
    return {**kept, "content-type": got.headers.get("content-type", "")}


async def write_as(
    below: Handler,
    request: ObjectRequest,
    to: Path,
    got: Response,
    more: dict[str, str] | None = None,
    at: int | None = None,
) -> Response:
    """PUT what was got elsewhere, for the layer that asks; `at` is the time it then has."""
    size = int(got.headers["content-length"])
    headers = {**carried(got), "content-length": str(size), **(more or {})}
    put = request.derive("PUT", to, headers=headers, body=Given(got.body, size), trusted=True)
    put.facts[COPIED] = True
    if at is not None:
        put.timestamp = at
    try:
        return await below(put)
    finally:
        await got.close()
