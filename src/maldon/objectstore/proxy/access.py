"""Who may do what with accounts, by identity's tokens: the layer `identity`.

The account of a project is AUTH_<its id>. An operator role there may do everything but PUT and DELETE the account
itself, a reader role may read everything, the reseller admin everything everywhere. Containers let others in by their
access lists (`acl.py`), which name ids, or names of the default domain where somebody of it wrote the list. A service
may share accounts with projects: those with a prefix of `service_prefixes` want, beside the project's operator, the
service's own token in X-Service-Token. Who holds no token, or one that is not valid, is nobody: 401 where somebody
might be let in, while one who is known hears 403.
"""

import contextlib
from collections.abc import Awaitable, Mapping
from functools import lru_cache, partial

from maldon.kernel.errors import Forbidden, Unauthorized
from maldon.kernel.op import Actor
from maldon.objectstore.middleware.layer import Handler, Layer
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.acl import BY_NAME, NAMES, Acl, admitted, parse, realm
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store

READS = {"GET", "HEAD"}
DOMAIN, SHOWN_DOMAIN = "x-account-sysmeta-project-domain-id", "x-account-project-domain-id"
_NONE, _READER, _OPERATOR, _RESELLER = range(4)  # what roles make of somebody
_parsed = lru_cache(maxsize=4096)(parse)


def make(store: Store, below: Handler) -> Handler:
    """The layer: who asks, and the question that the core will put."""
    access = Access(store)
    verifier = store.verifier

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.authorize is not None:
            return below(request)
        token = request.headers.get("x-auth-token") or request.headers.get("x-storage-token")
        if request.path.account.startswith(access.prefixes):
            request.authorize = access.check
        if not token or verifier is None:
            return below(request)
        plain = request.path.object and "x-service-token" not in request.headers
        actor = verifier.remembered(token) if plain else None
        if actor is None:
            return _known(request, token)
        request.actor = actor
        return below(request)

    async def _known(request: ObjectRequest, token: str) -> Response:
        request.actor = actor = await _holder(token)
        if access.shared and request.authorize is not None and "x-service-token" in request.headers:
            request.authorize = partial(access.check, service=await _holder(request.headers["x-service-token"]))
        if actor is None or request.path.object:
            return await below(request)
        return await _book(request, actor)

    async def _holder(token: str) -> Actor | None:
        assert verifier is not None
        with contextlib.suppress(Unauthorized):  # then it is nobody: what is public stays public
            return await verifier.actor(token) if token else None
        return None

    async def _book(request: ObjectRequest, actor: Actor) -> Response:
        """Of an account or container it is noted whose names they are that its lists may have."""
        if request.method in {"PUT", "POST"}:
            if access.is_of_project(request.path, actor):
                request.headers[DOMAIN] = actor.project_domain_id or ""
            by_names = str(access.knows_by_name(actor)) if access.knows_by_name(actor) else ""
            request.headers |= {names: by_names for acl, names in NAMES.items() if acl in request.headers}
        response = await below(request)
        if request.is_account and DOMAIN in response.headers:
            response.headers[SHOWN_DOMAIN] = response.headers[DOMAIN]
        return response

    return handle


LAYER = Layer("identity", make)


class Access:
    """The rules of the module."""

    def __init__(self, store: Store) -> None:
        settings = store.settings
        self.prefix = settings.reseller_prefix
        self.shared = dict(text.partition(":")[::2] for text in settings.service_prefixes)
        self.prefixes = (self.prefix, *self.shared)
        self._domain = settings.default_domain_id if settings.allow_names_in_acls else ""
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

    def service_role(self, account: str) -> str:
        """The role that a service needs there; "" where none does."""
        return next((role for prefix, role in self.shared.items() if account.startswith(prefix)), "")

    def is_of_project(self, path: Path, actor: Actor) -> bool:
        """Whether an account is that of the actor's project, or one that a service shares with it."""
        return actor.project_id is not None and any(
            path.account == prefix + actor.project_id for prefix in self.prefixes
        )

    def knows_by_name(self, actor: Actor) -> bool:
        """Whether actor and project are of the domain whose names may stand in access lists."""
        return bool(self._domain) and actor.user_domain_id == actor.project_domain_id == self._domain

    def check(self, request: ObjectRequest, lists: Mapping[str, str], service: Actor | None = None) -> None:
        """Raise Unauthorized or Forbidden, unless the asker may. `lists` has the access list that may let them in."""
        actor = request.actor
        if actor is not None and self._by_role(request, actor, service):
            return
        acl = _parsed(next(iter(lists.values()), None))
        if admitted(request, acl) or (actor is not None and self._named(request, actor, acl, by_name=BY_NAME in lists)):
            return
        self.refuse(request)

    def refuse(self, request: ObjectRequest) -> None:
        """403 for who is known, 401 for who is not."""
        if request.actor is not None:
            raise Forbidden("")
        error = Unauthorized("")
        error.headers = self._refusal or (("WWW-Authenticate", f'Swift realm="{realm(request)}"'),)
        raise error

    def _by_role(self, request: ObjectRequest, actor: Actor, service: Actor | None) -> bool:
        standing, path = self._standing(actor.roles), request.path
        if standing == _RESELLER:
            request.owner = True
            return True
        if standing == _NONE or not self.is_of_project(path, actor):
            return False
        wanted = self.service_role(path.account)
        if wanted and (service is None or wanted.lower() not in {role.lower() for role in service.roles}):
            return False
        if standing == _OPERATOR:
            request.owner = True
            return path.container != "" or request.method not in {"PUT", "DELETE"}
        return request.method in READS

    def _named(self, request: ObjectRequest, actor: Actor, acl: Acl, *, by_name: bool) -> bool:
        """Whether a list names the asker: project:user, or a role of the account's own project."""
        if not acl.groups:
            return False
        projects, users = {actor.project_id or "", "*"}, {actor.user_id, "*"}
        if by_name and self.knows_by_name(actor):
            projects.add(actor.project_name or "")
            users.add(actor.user_name)
        if any(f"{project}:{user}" in acl.groups for project in projects for user in users if project and user):
            return True
        return request.path.account == f"{self.prefix}{actor.project_id}" and any(
            role in acl.groups or role.lower() in acl.groups for role in actor.roles
        )
