"""Services, endpoints and regions."""

from typing import Any


def service(row: Any, base: str) -> dict[str, Any]:
    return {
        **(row.extra or {}),
        "id": row.id,
        "type": row.type,
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "links": {"self": f"{base}/services/{row.id}"},
    }


def endpoint(row: Any, base: str) -> dict[str, Any]:
    return {
        **(row.extra or {}),
        "id": row.id,
        "service_id": row.service_id,
        "interface": row.interface,
        "url": row.url,
        "region": row.region_id,
        "region_id": row.region_id,
        "enabled": row.enabled,
        "links": {"self": f"{base}/endpoints/{row.id}"},
    }


def region(row: Any, base: str) -> dict[str, Any]:
    return {
        **(row.extra or {}),
        "id": row.id,
        "description": row.description,
        "parent_region_id": row.parent_region_id,
        "links": {"self": f"{base}/regions/{row.id}"},
    }
