"""What was revoked of late, for services that look at tokens on their own.

Single tokens are noted where they are revoked; users, projects and domains say from when on their tokens count; what is
gone or was taken away has left a note (`revocations.py`).
"""

from typing import Any

from sqlalchemy import or_, select

from maldon.identity import lists, revocations
from maldon.identity.models.project import project
from maldon.identity.models.token import revoked
from maldon.identity.models.user import user
from maldon.identity.schemas.fields import moment
from maldon.kernel.clock import micros_text
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, json


async def index(request: Request, op: Op) -> Reply:
    """As far back as a token may live; since a time, if one is given."""
    op.may("identity:list_revoke_events")
    since = moment(request.param("since"), "since") or 0
    oldest = max(since, revocations.oldest(op))
    async with op.db.read() as session:
        found = [
            *await _single(session, since, op.clock.now()),
            *await _users(session, oldest),
            *await _places(session, oldest),
            *await _gone(session, oldest),
        ]
    return json({"events": found, "links": lists.links(request)})


async def _single(session: Session, since: int, now: int) -> list[dict[str, Any]]:
    lately = or_(revoked.c.revoked_at.is_(None), revoked.c.revoked_at >= since)
    chosen = select(revoked).where(revoked.c.expires_at > now, lately).order_by(revoked.c.audit_id)
    return [
        {"audit_id": row.audit_id, "issued_before": _text(row.revoked_at or row.expires_at)}
        for row in await session.all(chosen)
    ]


async def _users(session: Session, oldest: int) -> list[dict[str, Any]]:
    chosen = select(user.c.id, user.c.tokens_from).where(user.c.tokens_from >= oldest, user.c.tokens_from > 0)
    return [
        {"user_id": row.id, "issued_before": _text(row.tokens_from)}
        for row in await session.all(chosen.order_by(user.c.id))
    ]


async def _places(session: Session, oldest: int) -> list[dict[str, Any]]:
    chosen = select(project.c.id, project.c.is_domain, project.c.tokens_from)
    chosen = chosen.where(project.c.tokens_from >= oldest, project.c.tokens_from > 0).order_by(project.c.id)
    return [
        {"domain_id" if row.is_domain else "project_id": row.id, "issued_before": _text(row.tokens_from)}
        for row in await session.all(chosen)
    ]


async def _gone(session: Session, oldest: int) -> list[dict[str, Any]]:
    noted = await revocations.noted(session, oldest)
    return [row.about | {"issued_before": _text(row.revoked_at)} for row in noted]


def _text(at: int) -> str:
    return micros_text(at) + "Z"
