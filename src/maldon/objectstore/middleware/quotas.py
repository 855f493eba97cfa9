"""Quotas of accounts and containers: bytes and objects, looked at before anything is written.

An account's are set by reseller admins alone (X-Account-Quota-Bytes, -Count; X-Account-Meta-Quota-Bytes as of old; with
-Policy-<name> for what is in one storage policy), a container's by its owner (X-Container-Meta-Quota-Bytes, -Count).
Totals are those the books have now: writes at the same moment may go over by what they write, and an account hears of
its containers within a second. Over a quota is 413.
"""

from collections.abc import Awaitable, Mapping
from typing import Any

from maldon.kernel.errors import BadRequest, Forbidden, TooLarge
from maldon.objectstore.middleware.layer import Handler, Layer, Marks
from maldon.objectstore.middleware.object_versioning import versions_size
from maldon.objectstore.node import Book
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
from maldon.objectstore.proxy.store import Store

KEPT = "x-account-sysmeta-quota-"
OLD = "x-account-meta-quota-bytes"
SET = ("x-account-quota-", "x-remove-account-quota-")
BYTES, COUNT = "x-container-meta-quota-bytes", "x-container-meta-quota-count"
WRITES = {"PUT", "POST"}


def account_quotas(store: Store, below: Handler) -> Handler:
    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.is_account:
            return _account(request)
        if request.is_object and request.method == "PUT" and not request.trusted:
            return _object(request)
        return below(request)

    async def _account(request: ObjectRequest) -> Response:
        if request.method in WRITES:
            _set(request)
        response = await below(request)
        for name in [name for name in response.headers if name.startswith(KEPT)]:
            response.headers[f"x-account-quota-{name[len(KEPT) :]}"] = response.headers[name]
        return response

    def _set(request: ObjectRequest) -> None:
        """Quotas become sysmeta. Raises Forbidden for who is no reseller admin, BadRequest for what is no number."""
        headers = request.headers
        for name in [n for n in headers if n.startswith(SET) or n in {OLD, f"x-remove-{OLD[2:]}"}]:
            if not _is_reseller(request):
                raise Forbidden("")
            value = "" if name.startswith("x-remove-") else headers[name]
            if value and not (value.isascii() and value.isdigit()):
                raise BadRequest("Invalid quota")
            if name.startswith(SET):
                kept = name.rpartition("account-quota-")[2]
                _, of_policy, policy = kept.partition("-policy-")
                if of_policy and value and store.policies.named(policy) is None:
                    raise BadRequest(f"There is no storage policy {policy[:100]!r}.")
                headers[KEPT + kept] = value
                del headers[name]

    def _is_reseller(request: ObjectRequest) -> bool:
        roles = {role.lower() for role in request.actor.roles} if request.actor else set()
        return not roles.isdisjoint({store.settings.reseller_admin_role.lower(), ".reseller_admin"})

    async def _object(request: ObjectRequest) -> Response:
        account = await store.known.account(request.path)
        if (
            account is not None
            and not _is_reseller(request)
            and any(name.startswith((KEPT, OLD)) for name in account.headers)
        ):
            account = await store.known.newest(Path(request.path.account)) or account
            size, headers = request.body.length or 0, account.headers
            _check("Upload exceeds quota.", _number(headers, f"{KEPT}bytes", OLD), account.size + size)
            _check("Upload exceeds quota.", _number(headers, f"{KEPT}count"), account.objects + 1)
            await _policy(request, account, size)
        return await below(request)

    async def _policy(request: ObjectRequest, account: Book, size: int) -> None:
        """The same for what is in the container's storage policy."""
        container = store.known.remembered(request.path) or await store.known.container(request.path)
        policy = store.policies.get(container.policy) if container is not None else None
        if policy is None:
            return
        _, objects, used = account.shares.get(policy.index, (0, 0, 0))
        name = policy.name.lower()
        _check("Upload exceeds policy quota.", _number(account.headers, f"{KEPT}bytes-policy-{name}"), used + size)
        _check("Upload exceeds policy quota.", _number(account.headers, f"{KEPT}count-policy-{name}"), objects + 1)

    return handle


def container_quotas(store: Store, below: Handler) -> Handler:
    def handle(request: ObjectRequest) -> Awaitable[Response]:
        if request.is_container and request.method in WRITES:
            for name in ("bytes", "count"):
                value = request.headers.get(f"x-container-meta-quota-{name}", "")
                if value and not (value.isascii() and value.isdigit()):
                    raise BadRequest(f"Invalid {name} quota.")
        if request.is_object and request.method == "PUT" and not request.trusted:
            return _object(request)
        return below(request)

    async def _object(request: ObjectRequest) -> Response:
        book = store.known.remembered(request.path) or await store.known.container(request.path)
        if book is not None and _limits(book) != (None, None):
            book = await store.known.newest(request.path) or book  # totals of a second ago let too much in
            used = book.size + await versions_size(store, book)
            size, count = _limits(book)
            _check("Upload exceeds quota.", size, used + (request.body.length or 0))
            _check("Upload exceeds quota.", count, book.objects + 1)
        return await below(request)

    return handle


def _limits(book: Book) -> tuple[int | None, int | None]:
    return (
        _number(book.headers, BYTES),
        _number(book.headers, COUNT),
    )


def _number(headers: Mapping[str, tuple[str, int]], *names: str) -> int | None:
    for name in names:
        text = headers.get(name, ("", 0))[0]
        if text.isascii() and text.isdigit():
            return int(text)
    return None


def _check(sentence: str, limit: int | None, wanted: int) -> None:
    if limit is not None and wanted > limit:
        raise TooLarge(sentence)


def _nothing(_store: Store) -> dict[str, Any]:
    return {}


ACCOUNT = Layer("account_quotas", account_quotas, _nothing, marks=lambda _store: Marks(account=(KEPT, OLD)))
CONTAINER = Layer("container_quotas", container_quotas, _nothing, marks=lambda _store: Marks(container=(BYTES, COUNT)))
