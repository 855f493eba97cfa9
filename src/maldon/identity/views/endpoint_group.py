"""An endpoint group."""

from typing import Any


def endpoint_group(row: Any, base: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "filters": row.filters,
        "links": {"self": f"{base}/OS-EP-FILTER/endpoint_groups/{row.id}"},
    }
