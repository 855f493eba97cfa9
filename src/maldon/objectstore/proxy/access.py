"""Who may do what with accounts, by identity's tokens: the layer `identity`.

The account of a project is AUTH_<its id>. An operator role there may do everything but PUT and DELETE the account
itself, a reader role may read everything, the reseller admin everything everywhere. Containers let others in by their
access lists (`acl.py`), which name ids. Who holds no token, or one that is not valid, is nobody: 401 where somebody
might be let in, while one who is known hears 403.
"""

import contextlib
from collections.abc import Awaitable, Mapping
from functools import lru_cache

from maldon.kernel.errors import Forbidden, Unauthorized
from maldon.kernel.op import Actor
from maldon.objectstore.middleware.layer import Handler, Layer
from maldon.objectstore.proxy.acl import Acl, admitted, parse, realm
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store

READS = {"GET", "HEAD"}
_NONE, _READER, _OPERATOR, _RESELLER = range(4)  # what roles make of somebody
_parsed = lru_cache(maxsize=4096)(parse)


def make(store: Store, below: Handler) -> Handler:
    """The layer: who asks, and the question that the core will put."""
    access = Access(store)

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.authorize is not None:
            return below(request)
        token = request.headers.get("x-auth-token") or request.headers.get("x-storage-token")
        if request.path.account.startswith(access.prefix):
            request.authorize = access.check
        return _known(request, token) if token and store.verifier is not None else below(request)

    async def _known(request: ObjectRequest, token: str) -> Response:
        assert store.verifier is not None
        with contextlib.suppress(Unauthorized):  # then it is nobody: what is public stays public
            request.actor = await store.verifier.actor(token)
        return await below(request)

    return handle


LAYER = Layer("identity", make)


class Access:
    """The rules of the module."""

    def __init__(self, store: Store) -> None:
        settings = store.settings
        self.prefix = settings.reseller_prefix
        ranks = (
            (_RESELLER, {settings.reseller_admin_role.lower()}),
            (_OPERATOR, {role.lower() for role in settings.operator_roles}),
            (_READER, {role.lower() for role in settings.reader_roles}),
        )

        @lru_cache(maxsize=1024)
        def standing(roles: tuple[str, ...]) -> int:
            have = {role.lower() for role in roles}
            return next((rank for rank, wanted in ranks if have & wanted), _NONE)

        self._standing = standing
        self._refusal = (("WWW-Authenticate", f'Keystone uri="{store.auth_url}"'),) if store.auth_url else ()

    def check(self, request: ObjectRequest, lists: Mapping[str, str]) -> None:
        """Raise Unauthorized or Forbidden, unless the asker may. `lists` has the access list that may let them in."""
        actor = request.actor
        if actor is not None and self._by_role(request, actor):
            return
        acl = _parsed(next(iter(lists.values()), None))
        if not admitted(request, acl) and not (actor is not None and self._named(request, actor, acl)):
            self.refuse(request)

    def refuse(self, request: ObjectRequest) -> None:
        """403 for who is known, 401 for who is not."""
        if request.actor is not None:
            raise Forbidden("")
        error = Unauthorized("")
        error.headers = self._refusal or (("WWW-Authenticate", f'Swift realm="{realm(request)}"'),)
        raise error

    def _by_role(self, request: ObjectRequest, actor: Actor) -> bool:
        standing, path = self._standing(actor.roles), request.path
        if standing == _RESELLER:
            request.owner = True
            return True
        if standing == _NONE or actor.project_id is None or path.account != self.prefix + actor.project_id:
            return False
        if standing == _OPERATOR:
            request.owner = True
            return path.container != "" or request.method not in {"PUT", "DELETE"}
        return request.method in READS

    def _named(self, request: ObjectRequest, actor: Actor, acl: Acl) -> bool:
        """Whether a list names the asker: project:user, or a role of the account's own project."""
        if not acl.groups:
            return False
        projects, users = (actor.project_id or "", "*"), (actor.user_id, "*")
        if any(f"{project}:{user}" in acl.groups for project in projects for user in users if project):
            return True
        return request.path.account == f"{self.prefix}{actor.project_id}" and any(
            role in acl.groups or role.lower() in acl.groups for role in actor.roles
        )
