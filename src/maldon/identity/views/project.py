"""A project, a domain."""

from typing import Any


def show(row: Any, base: str, tags: list[str]) -> dict[str, Any]:
    return {
        **(row.extra or {}),
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "parent_id": row.parent_id,
        "is_domain": row.is_domain,
        "enabled": row.enabled,
        "description": row.description,
        "options": row.options or {},
        "tags": tags,
        "links": {"self": f"{base}/projects/{row.id}"},
    }


def show_domain(row: Any, base: str) -> dict[str, Any]:
    return {
        **(row.extra or {}),
        "id": row.id,
        "name": row.name,
        "enabled": row.enabled,
        "description": row.description,
        "options": row.options or {},
        "tags": [],
        "links": {"self": f"{base}/domains/{row.id}"},
    }
