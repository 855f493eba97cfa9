"""The outbox: journal lines go to the bus as notifications, at least once, in order of their number.

A line is marked after the bus has taken it; a crash in between sends it again, with the same id.
"""

from typing import Any

import msgspec
from sqlalchemy import select, update

from maldon.kernel.clock import micros_text
from maldon.kernel.op import Op
from maldon.ports.bus import Bus, Message
from maldon.work.models import journal

BATCH = 200


async def send_notifications(op: Op, bus: Bus) -> int:
    """Publish what was not told yet; how many lines. Raises OSError when the bus cannot be reached."""
    async with op.db.read() as session:
        lines = await session.all(select(journal).where(journal.c.sent.is_(False)).order_by(journal.c.id).limit(BATCH))
    for line in lines:
        await bus.publish(Message(f"notifications.{line.kind}", msgspec.json.encode(_body(line))))
    if lines:
        async with op.db.begin() as session:
            await session.run(update(journal).where(journal.c.id.in_([line.id for line in lines])).values(sent=True))
    return len(lines)


def _body(line: Any) -> dict[str, Any]:
    """The notification: `message_id` is the same whenever it is repeated."""
    return {
        "message_id": f"{line.operation_id}-{line.id}",
        "event_type": f"{line.kind}.{line.step}.{line.outcome}",
        "timestamp": micros_text(line.at),
        "publisher_id": "maldon",
        "payload": {
            "subject": line.subject,
            "project_id": line.project_id,
            "request_id": line.request_id,
            "note": line.note,
        },
    }
