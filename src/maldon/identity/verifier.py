"""Turns a token into whoever holds it, from memory where possible.

A verified token is remembered with its Actor and its finished answer, so that a repeat costs no SQL and no JSON. All is
forgotten when the generation moves: a number in the database that every write which may make a token mean less raises
in its transaction. In the process of the write that happens with its commit; others look twice a second. Tokens are
never believed when the database cannot be asked.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from maldon.identity.keys import TokenKeys
from maldon.identity.meaning import Meaning, read_meaning
from maldon.identity.models.token import generation
from maldon.identity.plan.access_rules import permits
from maldon.identity.providers import KeptTokens, Provider, SealedTokens
from maldon.identity.settings import DEFAULTS, IdentitySettings
from maldon.identity.standing import REFUSED
from maldon.identity.token import Token
from maldon.identity.verbs.endpoint_filter import visible
from maldon.identity.world import World, read_world
from maldon.kernel.clock import SECOND, Clock
from maldon.kernel.errors import Unauthorized
from maldon.kernel.op import Actor, Database, Op, Session
from maldon.ports.keyvalue import KeyValue

LOOK_AGAIN = SECOND // 2  # a second is promised, and a request takes its time on a busy machine
_GENERATION = select(generation.c.value)
_BUMP = update(generation).values(value=generation.c.value + 1)


@dataclass(slots=True)
class Verified:
    """A token and what it means."""

    token: Token
    meaning: Meaning
    world: World
    visible: frozenset[str] | None = None
    _bodies: tuple[bytes, bytes] | None = None

    def catalog(self) -> list[dict[str, Any]]:
        """The services its holder can reach; none for a token without a scope."""
        if self.token.scope.kind == "unscoped":
            return []
        return self.world.catalog(self.token.user_id, self.meaning.actor.project_id, self.visible)

    def body(self, *, catalog: bool) -> bytes:
        """The answer to whoever looks at the token, made once."""
        if self._bodies is None:
            whole = shown = self.meaning.shown
            if self.token.scope.kind != "unscoped":
                whole = whole | {"catalog": self.catalog()}
            self._bodies = (msgspec.json.encode({"token": shown}), msgspec.json.encode({"token": whole}))
        return self._bodies[catalog]


class TokenVerifier:
    """The process's one verifier of tokens; a `web.app.Verifier`."""

    def __init__(
        self,
        db: Database,
        keys: TokenKeys,
        clock: Clock,
        settings: IdentitySettings = DEFAULTS,
        store: KeyValue | None = None,
    ) -> None:
        self._db, self.keys, self._clock, self._settings = db, keys, clock, settings
        self._provider: Provider = SealedTokens(keys)
        if store is not None and settings.tokens == "uuid":
            self._provider = KeptTokens(store, settings, clock)
        self._known: dict[str, Verified] = {}
        self._world: World | None = None
        self._seen: tuple[int, int] = (-1, -1)  # the generation and the state of the keys that `_known` is good for
        self._looked_at = 0
        self._forgotten = 0
        self._looking = asyncio.Lock()

    async def actor(self, token: str, service: str = "", method: str = "", path: str = "") -> Actor:
        """Who holds it. Raises Unauthorized, also where the token is confined to other calls than this one."""
        meaning = (await self.verified(token)).meaning
        if meaning.rules is not None and not permits(meaning.rules, service, method, path):
            raise Unauthorized("The access rules of the application credential do not include this call.")
        return meaning.actor

    def remembered(self, token: str) -> Actor | None:
        """Whoever holds it, where that needs no look at the books; None for a token that is confined to some calls."""
        now = self._clock.now()
        known = self._known.get(token) if 0 <= now - self._looked_at < LOOK_AGAIN else None
        if known is None or known.token.expires_at <= now or known.meaning.rules is not None:
            return None
        return known.meaning.actor

    async def verified(self, token: str) -> Verified:
        """The token and what it means. Raises Unauthorized."""
        now = self._clock.now()
        if not 0 <= now - self._looked_at < LOOK_AGAIN:
            await self._look()
        known = self._known.get(token)
        if known is None:
            known = await self._learn(token, await self._opened(token), now)
        if known.token.expires_at <= now:
            raise Unauthorized(REFUSED, internal="the token has expired")
        return known

    async def verified_though_expired(self, token: str) -> Verified:
        """The same for a service that finishes what was asked before the token's end."""
        opened = await self._opened(token)
        now = self._clock.now()
        if opened.expires_at > now:
            return await self.verified(token)
        if opened.expires_at + self._settings.expired_window_s * SECOND <= now:
            raise Unauthorized(REFUSED, internal="the token expired long ago")
        return await self._learn(None, opened, now)

    async def issue(self, token: Token) -> tuple[str, Verified]:
        """Seal a new token, if what it is for allows it. Raises Unauthorized."""
        text = await self._provider.show(token)
        return text, await self._learn(text, token, self._clock.now())

    def forget(self) -> None:
        """Look at every token anew."""
        self._forgotten += 1
        self._known.clear()
        self._looked_at = 0

    async def _opened(self, token: str) -> Token:
        opened = await self._provider.open(token)
        if opened is None:
            raise Unauthorized(REFUSED, internal="the token is none of ours")
        return opened

    async def _look(self) -> None:
        """Forget everything if the generation or the keys have moved."""
        async with self._looking:
            now, forgotten = self._clock.now(), self._forgotten
            if 0 <= now - self._looked_at < LOOK_AGAIN:
                return
            keys = self.keys.state
            async with self._db.read() as session:
                value = await session.scalar(_GENERATION) or 0
            if self._seen != (value, keys):
                self._known.clear()
                self._seen = (value, keys)
            if forgotten == self._forgotten:
                self._looked_at = now

    async def _learn(self, text: str | None, token: Token, now: int) -> Verified:
        """Ask the books; remember under `text` unless somebody changed them meanwhile."""
        forgotten, keys = self._forgotten, self.keys.state
        async with self._db.read() as session:
            value = await session.scalar(_GENERATION) or 0  # first, so that what follows is at least as new
            world = self._world
            if world is None or world.generation != value:
                world = await read_world(session, value)
            meaning = await read_meaning(session, world, token)
            project_id = meaning.actor.project_id
            seen = await visible(session, project_id) if world.filtered and project_id is not None else None
        learnt = Verified(token, meaning, world, seen)
        if forgotten == self._forgotten:
            self._world = world
            if text is not None and self._seen == (value, keys) and token.expires_at > now:
                while len(self._known) >= self._settings.cached_tokens:
                    del self._known[next(iter(self._known))]
                self._known[text] = learnt
        return learnt


async def bump(op: Op, session: Session) -> None:
    """Say in this transaction that tokens may mean less after it. Its first statement, for all writers queue here."""
    if not await session.run(_BUMP):
        await session.run(insert(generation).values(id=1, value=1))
    session.after_commit(op.use(TokenVerifier).forget)
