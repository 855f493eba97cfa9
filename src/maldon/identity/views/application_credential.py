"""An application credential without its secret, and an access rule."""

from typing import Any

from maldon.kernel.clock import micros_text


def show(row: Any, roles: list[Any], rules: list[Any], base: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "system": None,
        "expires_at": None if row.expires_at is None else micros_text(row.expires_at),
        "unrestricted": row.unrestricted,
        "roles": [{"id": one.id, "name": one.name, "domain_id": one.domain_id or None} for one in roles],
        "access_rules": [_call(one) for one in rules],
        "links": {"self": f"{base}/users/{row.user_id}/application_credentials/{row.id}"},
    }


def show_rule(row: Any, base: str) -> dict[str, Any]:
    return _call(row) | {"links": {"self": f"{base}/users/{row.user_id}/access_rules/{row.id}"}}


def _call(row: Any) -> dict[str, Any]:
    return {"id": row.id, "service": row.service, "method": row.method, "path": row.path}
