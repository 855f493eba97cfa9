"""What was revoked of late, for services that look at tokens on their own.

There is no log of it: single tokens are noted where they are revoked, and users, projects and domains say from when on
their tokens count. Who takes away roles, or removes a user, leaves no event: a service hears that when it asks about
the token.
"""

from typing import Any

from sqlalchemy import or_, select

from maldon.identity import lists
from maldon.identity.models.project import project
from maldon.identity.models.token import revoked
from maldon.identity.models.user import user
from maldon.identity.schemas.fields import moment
from maldon.identity.settings import IdentitySettings
from maldon.kernel.clock import SECOND, micros_text
from maldon.kernel.op import Op, Session
from maldon.web.request import Reply, Request, json


async def index(request: Request, op: Op) -> Reply:
    """As far back as a token may live; since a time, if one is given."""
    op.may("identity:list_revoke_events")
    since = moment(request.param("since"), "since") or 0
    now = op.clock.now()
    oldest = max(since, now - op.use(IdentitySettings).token_lifetime_s * SECOND + 1)
    async with op.db.read() as session:
        found = [*await _single(session, since, now), *await _users(session, oldest), *await _places(session, oldest)]
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


def _text(at: int) -> str:
    return micros_text(at) + "Z"
