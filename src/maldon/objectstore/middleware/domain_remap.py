"""Addresses with the container and account in the host's name: container.account.example.com/object.

The account's name in a host has `-` where it had `_`, and lower case; with `reseller_prefixes` one of them is put
before it. A path that begins with /v1 keeps it. Off unless `storage_domains` names a domain.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from maldon.kernel.errors import BadRequest
from maldon.kernel.settings import option
from maldon.objectstore.middleware.layer import Handler, Layer
from maldon.objectstore.path import Path
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest, split
from maldon.objectstore.proxy.store import Store

ASKED = "asked where"  # of the facts of a request: the path as its client knows it


@dataclass(frozen=True, slots=True)
class DomainRemapSettings:
    storage_domains: tuple[str, ...] = option((), "Domains below which accounts and containers are hosts.")
    reseller_prefixes: tuple[str, ...] = option(("AUTH",), "Prefixes of accounts; the first is put before one without.")


def account_of(label: str, prefixes: tuple[str, ...]) -> str:
    """The account that a label of a host's name stands for."""
    for prefix in prefixes:
        if label.lower().startswith((f"{prefix.lower()}-", f"{prefix.lower()}_")):
            return f"{prefix}_{label[len(prefix) + 1 :]}"
    return f"{prefixes[0]}_{label}" if prefixes else label.replace("-", "_")


def make(store: Store, below: Handler) -> Handler:
    wanted = store.option(DomainRemapSettings)
    domains = tuple(f".{domain.strip('.').lower()}" for domain in wanted.storage_domains)
    if not domains:
        return below

    def handle(request: ObjectRequest) -> Awaitable[Response]:
        host = request.headers.get("host", "").partition(":")[0]  # its labels keep their case: a name may have one
        domain = next((domain for domain in domains if host[-len(domain) :].lower() == domain), None)
        if domain is not None:
            _rename(request, host[: -len(domain)].split("."))
        return below(request)

    def _rename(request: ObjectRequest, labels: list[str]) -> None:
        if len(labels) > 2 or not all(labels):
            raise BadRequest("Bad domain in host header")
        account = account_of(labels[-1], wanted.reseller_prefixes)
        base = str(Path(account, labels[0] if len(labels) > 1 else ""))
        rest = request.where
        if split(rest)[0]:
            rest = "/" + rest.split("/", 2)[2]
        request.facts[ASKED] = request.where
        request.where = f"/v1{base}" + (rest if rest != "/" or len(labels) > 1 else "")
        request.version, request.path = split(request.where)

    return handle


def _info(store: Store) -> dict[str, Any] | None:
    wanted = store.option(DomainRemapSettings)
    return {"default_reseller_prefix": (wanted.reseller_prefixes or ("",))[0]} if wanted.storage_domains else None


LAYER = Layer("domain_remap", make, _info, settings=DomainRemapSettings)
