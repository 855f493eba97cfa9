"""Undoes uploads whose process died: their images wait for bytes again, their files are removed.

Wherever the file store is, this runs; several at once do no harm.
"""

from maldon.image import uploads
from maldon.kernel.op import Op
from maldon.work.loops import Loop

INTERVAL_S = 30.0


def reap_uploads(op: Op) -> Loop:
    """The loop."""

    async def once() -> None:
        await uploads.undo_dead(op)

    return Loop("reap_uploads", once, INTERVAL_S)
