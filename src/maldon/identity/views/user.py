"""A user, never the password."""

from typing import Any


def show(row: Any, base: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "enabled": row.enabled,
        "password_expires_at": None,
        "options": row.options or {},
        "links": {"self": f"{base}/users/{row.id}"},
    }
    if row.default_project_id is not None:
        shown["default_project_id"] = row.default_project_id
    return {**row.extra, **shown} if row.extra else shown
