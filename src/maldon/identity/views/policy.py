"""A policy document."""

from typing import Any


def policy(row: Any, base: str) -> dict[str, Any]:
    return {
        **(row.extra or {}),
        "id": row.id,
        "type": row.type,
        "blob": row.blob,
        "links": {"self": f"{base}/policies/{row.id}"},
    }
