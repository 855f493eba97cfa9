"""A role."""

from typing import Any


def show(row: Any, base: str) -> dict[str, Any]:
    return {
        **(row.extra or {}),
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id or None,
        "description": row.description,
        "options": row.options or {},
        "links": {"self": f"{base}/roles/{row.id}"},
    }


def brief(row: Any, base: str) -> dict[str, Any]:
    """As rules between roles show it."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "links": {"self": f"{base}/roles/{row.id}"},
    }
