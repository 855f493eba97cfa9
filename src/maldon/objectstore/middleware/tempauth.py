"""Users of the store's own, named in the settings: for a store without identity, and for clients of the first auth API.

GET /auth/v1.0 with X-Auth-User `account:user` and X-Auth-Key answers X-Storage-Url and X-Auth-Token. A token says who
and until when, sealed with that user's key: nothing is kept, every process knows it, another key ends it. A user's
groups are the account's name, `account:user`, and those of the settings: `.admin` owns the account, `.reseller_admin`
all of them, `.reseller_reader` reads all. An account that a service shares (see proxy/access.py) wants the service's
group as well, of the user or of whoever holds X-Service-Token. An account lets others in by X-Account-Access-Control, a
container by its access lists, which name groups.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from maldon.kernel.errors import BadRequest, Forbidden, Unauthorized
from maldon.kernel.op import Actor
from maldon.kernel.settings import BadSetting, option
from maldon.objectstore.middleware.layer import Handler, Layer
from maldon.objectstore.proxy.access import Access
from maldon.objectstore.proxy.acl import admitted, parse
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store

READS = {"GET", "HEAD"}
MARK = "AUTH_tk"
CONTROL = "x-account-access-control"
LEVELS = ("admin", "read-write", "read-only")


@dataclass(frozen=True, slots=True)
class TempauthSettings:
    users: tuple[str, ...] = option((), "Users, each account:user:key, then :group for each group (.admin, …).")
    token_life_s: int = option(86400, "Seconds a token is good for.")


class AccessControl(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    """Who else may do what in an account."""

    admin: list[str] = []
    read_write: list[str] = []
    read_only: list[str] = []


class User(msgspec.Struct, frozen=True):
    """`name` is account:user."""

    account: str
    name: str
    key: str
    groups: frozenset[str]


class Users:
    """Those of the settings, and their tokens."""

    def __init__(self, settings: TempauthSettings, *prefixes: str) -> None:
        self._life_s, self._prefixes = settings.token_life_s, prefixes
        self._users = {user.name: user for user in map(self._read, settings.users)}

    def _read(self, text: str) -> User:
        words = text.split(":")
        if len(words) < 3 or not all(words[:3]):
            raise BadSetting("[tempauth] users wants account:user:key[:group…] for each user.")
        account, user, key, *groups = words
        name = f"{account}:{user}"
        own = {prefix + account for prefix in self._prefixes} if ".admin" in groups else set()
        return User(self._prefixes[0] + account, name, key, frozenset({account, name, *groups, *own}))

    def login(self, name: str, key: str) -> User | None:
        """The user of that name, if the key is theirs."""
        user = self._users.get(name)
        right = hmac.compare_digest((user.key if user else "").encode(), key.encode("utf-8", "surrogateescape"))
        return user if user and right else None

    def token(self, user: User) -> tuple[str, int]:
        """A token and the seconds it is good for."""
        said = f"{int(time.time()) + self._life_s}:{user.name}".encode()
        return MARK + base64.urlsafe_b64encode(self._seal(user, said) + said).decode().rstrip("="), self._life_s

    def holder(self, token: str) -> User | None:
        """Whose token it is; None for one that is not ours, or not any more."""
        try:
            sealed = base64.urlsafe_b64decode(token[len(MARK) :] + "==")
            until, _, name = sealed[32:].decode().partition(":")
            user = self._users.get(name)
            if user is None or not hmac.compare_digest(self._seal(user, sealed[32:]), sealed[:32]):
                return None
            return user if int(until) > time.time() else None
        except ValueError:
            return None

    @staticmethod
    def _seal(user: User, said: bytes) -> bytes:
        return hmac.new(user.key.encode(), b"tempauth token " + said, hashlib.sha256).digest()


def make(store: Store, below: Handler) -> Handler:
    anybody = Access(replace(store, auth_url=""))
    users = Users(store.option(TempauthSettings), *anybody.prefixes)
    alone = "identity" in store.settings.without  # then who has no token of ours is nobody

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.where.startswith("/auth/"):
            return _login(request)
        token = request.headers.get("x-auth-token") or request.headers.get("x-storage-token") or ""
        user = users.holder(token) if token.startswith(MARK) else None
        if user is not None:
            return _as(request, user)
        if alone and request.authorize is None and request.path.account.startswith(anybody.prefixes):
            request.authorize = anybody.check
        return below(request)

    async def _login(request: ObjectRequest) -> Response:
        headers = request.headers
        name = headers.get("x-auth-user") or headers.get("x-storage-user") or ""
        if request.method != "GET" or not request.where.startswith("/auth/v1"):
            raise BadRequest("Log in by GET /auth/v1.0 with X-Auth-User and X-Auth-Key.")
        if ":" not in name and len(parts := request.where.split("/")) > 3:
            name = f"{parts[3]}:{name}"  # /auth/v1/account/auth
        user = users.login(name, headers.get("x-auth-key") or headers.get("x-storage-pass") or "")
        if user is None:
            error = Unauthorized("")
            error.headers = (("WWW-Authenticate", 'Swift realm="unknown"'),)
            raise error
        token, life_s = users.token(user)
        url = f"{request.base}/v1/{user.account}"
        shown = {"x-storage-url": url, "x-auth-token": token, "x-storage-token": token}
        body = msgspec.json.encode({"storage": {"default": "local", "local": url}})
        return Response(
            200, {**shown, "x-auth-token-expires": str(life_s), "content-type": "application/json; charset=UTF-8"}, body
        )

    async def _as(request: ObjectRequest, user: User) -> Response:
        request.actor = Actor(user.name, user.name, roles=tuple(sorted(user.groups)))
        service = users.holder(request.headers.get("x-service-token", ""))
        groups = user.groups | (service.groups if service is not None else frozenset())
        control = None if _owns(user, request) else await _control(store, request)
        asked = Asked(user, control, groups, anybody.service_role)
        request.authorize = asked.check
        if request.is_account and CONTROL in request.headers:
            request.headers[CONTROL] = _checked(request.headers[CONTROL])
        return await below(request)

    return handle


def _owns(user: User, request: ObjectRequest) -> bool:
    return ".reseller_admin" in user.groups or request.path.account in user.groups


async def _control(store: Store, request: ObjectRequest) -> AccessControl:
    """The account's own list of others."""
    book = await store.known.account(request.path) if request.path.account else None
    kept = book.headers.get(CONTROL, ("", 0))[0] if book is not None else ""
    return msgspec.json.decode(kept, type=AccessControl) if kept else AccessControl()


def _checked(text: str) -> str:
    """An access control as it is kept. Raises BadRequest."""
    if not text.strip():
        return ""
    try:
        control = msgspec.json.decode(text, type=AccessControl)
    except msgspec.MsgspecError as error:
        raise BadRequest(
            f"X-Account-Access-Control must be JSON with lists under {', '.join(LEVELS)}: {str(error)[:200]}"
        ) from error
    lists: dict[str, Any] = msgspec.to_builtins(control)
    kept = {level: names for level, names in lists.items() if names}
    return msgspec.json.encode(kept).decode() if kept else ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A user who asks, and what the account says of others when it is not theirs. `groups` are those of a service that
    asks for them, too; `wanted` says which of them an account wants that is shared with a service.
    """

    user: User
    control: AccessControl | None
    groups: frozenset[str]
    wanted: Callable[[str], str]

    def check(self, request: ObjectRequest, lists: Mapping[str, str]) -> None:
        """Raise Forbidden unless they may."""
        wanted = self.wanted(request.path.account)
        if wanted and wanted not in self.groups and ".reseller_admin" not in self.user.groups:
            raise Forbidden("")
        if self._owner(request) or self._let_in(request):
            return
        acl = parse(next(iter(lists.values()), None))
        if admitted(request, acl) or not acl.groups.isdisjoint(self.user.groups):
            return
        raise Forbidden("")

    def _owner(self, request: ObjectRequest) -> bool:
        path, groups = request.path, self.user.groups
        own = path.account in groups and (bool(path.container) or request.method not in {"PUT", "DELETE"})
        admin = self.control is not None and not groups.isdisjoint(self.control.admin)
        if ".reseller_admin" in groups or own or admin:
            request.owner = True
            return True
        return False

    def _let_in(self, request: ObjectRequest) -> bool:
        groups, reads = self.user.groups, request.method in READS
        if reads and ".reseller_reader" in groups:
            return True
        if self.control is None:
            return False
        writes = bool(request.path.container) and not groups.isdisjoint(self.control.read_write)
        readers = (*self.control.read_only, *self.control.read_write)
        return writes or (reads and not groups.isdisjoint(readers))


def _info(_store: Store) -> dict[str, Any]:
    return {"account_acls": True}


LAYER = Layer("tempauth", make, _info, settings=TempauthSettings)
