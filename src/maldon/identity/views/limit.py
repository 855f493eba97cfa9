"""A registered limit, a limit, how limits relate."""

from typing import Any

MODELS = {
    "flat": "Limits of projects and domains do not depend on one another.",
    "strict_two_level": "A domain holds projects, they hold none, and none of them has a higher limit than its domain.",
}


def show_registered(row: Any, base: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "service_id": row.service_id,
        "region_id": row.region_id,
        "resource_name": row.resource_name,
        "default_limit": row.default_limit,
        "description": row.description,
        "links": {"self": f"{base}/registered_limits/{row.id}"},
    }


def show(row: Any, base: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "project_id": None if row.is_domain else row.owner_id,
        "domain_id": row.owner_id if row.is_domain else None,
        "service_id": row.service_id,
        "region_id": row.region_id,
        "resource_name": row.resource_name,
        "resource_limit": row.resource_limit,
        "description": row.description,
        "links": {"self": f"{base}/limits/{row.id}"},
    }


def show_model(name: str) -> dict[str, Any]:
    return {"model": {"name": name, "description": MODELS[name]}}
