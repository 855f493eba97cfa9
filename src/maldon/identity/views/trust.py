"""A trust, and a role that it gives."""

from typing import Any

from maldon.kernel.clock import micros_text


def show_summary(row: Any, base: str) -> dict[str, Any]:
    """As lists have it: without its roles."""
    return {
        "id": row.id,
        "trustor_user_id": row.trustor_user_id,
        "trustee_user_id": row.trustee_user_id,
        "project_id": row.project_id,
        "impersonation": row.impersonation,
        "expires_at": None if row.expires_at is None else micros_text(row.expires_at) + "Z",
        "deleted_at": None,
        "remaining_uses": row.remaining_uses,
        "redelegation_count": row.redelegation_count,
        "redelegated_trust_id": row.redelegated_trust_id,
        "links": {"self": f"{base}/OS-TRUST/trusts/{row.id}"},
    }


def show(row: Any, roles: list[Any], base: str) -> dict[str, Any]:
    links = {"self": f"{base}/OS-TRUST/trusts/{row.id}/roles", "previous": None, "next": None}
    return show_summary(row, base) | {"roles": [show_role(one, base) for one in roles], "roles_links": links}


def show_role(row: Any, base: str) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "links": {"self": f"{base}/roles/{row.id}"}}
