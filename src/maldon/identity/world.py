"""What all tokens have in common: roles, which implies which, and the catalog. Read once per generation."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from maldon.identity.models.catalog import endpoint, service
from maldon.identity.models.endpoint_filter import project_endpoint, project_endpoint_group
from maldon.identity.models.role import implied_role, role
from maldon.identity.plan.effective import closure
from maldon.kernel.op import Session

_ROLES = select(role.c.id, role.c.name, role.c.domain_id)
_IMPLIED = select(implied_role.c.prior_id, implied_role.c.implied_id)
_SERVICES = select(service.c.id, service.c.type, service.c.name).where(service.c.enabled.is_(True))
_ENDPOINTS = select(
    endpoint.c.id, endpoint.c.service_id, endpoint.c.interface, endpoint.c.region_id, endpoint.c.url
).where(endpoint.c.enabled.is_(True))
_GIVEN = [select(table.c.project_id).limit(1) for table in (project_endpoint, project_endpoint_group)]


@dataclass(frozen=True, slots=True)
class World:
    """One generation of it."""

    generation: int
    roles: Mapping[str, tuple[str, str]] = field(repr=False)
    implied: Mapping[str, tuple[str, ...]] = field(repr=False)
    services: tuple[tuple[dict[str, Any], tuple[dict[str, Any], ...]], ...] = field(repr=False)
    filtered: bool = False  # whether any project was given endpoints of its own

    def effective(self, role_ids: Iterable[str]) -> list[dict[str, str]]:
        """The roles that a token shows: with those implied, without those of a domain."""
        found = [(self.roles[id_], id_) for id_ in closure(role_ids, self.implied) if id_ in self.roles]
        return [{"id": id_, "name": name} for (name, domain_id), id_ in sorted(found) if not domain_id]

    def catalog(
        self, user_id: str, project_id: str | None, visible: Container[str] | None = None
    ) -> list[dict[str, Any]]:
        """The services with their addresses filled in; an address that wants a project is left out without one.

        With `visible`, only endpoints with those ids are shown, and no service without one.
        """
        values = {"user_id": user_id}
        if project_id is not None:
            values |= {"project_id": project_id, "tenant_id": project_id}
        listed = []
        for head, endpoints in self.services:
            shown = endpoints if visible is None else tuple(e for e in endpoints if e["id"] in visible)
            if visible is not None and not shown:
                continue
            filled = [e | {"url": url} for e in shown if (url := _filled(e["url"], values)) is not None]
            listed.append({"endpoints": filled, **head})
        return listed


def _filled(url: str, values: Mapping[str, str]) -> str | None:
    if "(" not in url:
        return url
    for name, value in values.items():
        url = url.replace(f"$({name})s", value).replace(f"%({name})s", value)
    return None if "$(" in url or "%(" in url else url


async def read_world(session: Session, generation: int) -> World:
    """The world as it is now."""
    implied: dict[str, tuple[str, ...]] = {}
    for prior, then in await session.all(_IMPLIED):
        implied[prior] = (*implied.get(prior, ()), then)
    roles = {id_: (name, domain_id) for id_, name, domain_id in await session.all(_ROLES)}
    by_service: dict[str, list[dict[str, Any]]] = {}
    for id_, service_id, interface, region_id, url in await session.all(_ENDPOINTS):
        shown = {"id": id_, "interface": interface, "region_id": region_id, "url": url, "region": region_id}
        by_service.setdefault(service_id, []).append(shown)
    services = [
        ({"id": id_, "type": type_, "name": name or ""}, tuple(by_service.get(id_, ())))
        for id_, type_, name in await session.all(_SERVICES)
    ]
    filtered = [await session.first(given) is not None for given in _GIVEN]
    return World(generation, roles, implied, tuple(services), any(filtered))
