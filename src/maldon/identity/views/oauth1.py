"""Consumers and access tokens. Their secrets are told once, when they are made."""

from typing import Any

from maldon.kernel.clock import micros_text


def consumer(row: Any, base: str) -> dict[str, Any]:
    return {
        **(row.extra or {}),
        "id": row.id,
        "description": row.description,
        "links": {"self": f"{base}/OS-OAUTH1/consumers/{row.id}"},
    }


def access_token(row: Any, base: str) -> dict[str, Any]:
    here = f"{base}/users/{row.user_id}/OS-OAUTH1/access_tokens/{row.id}"
    return {
        "id": row.id,
        "consumer_id": row.consumer_id,
        "project_id": row.project_id,
        "authorizing_user_id": row.user_id,
        "expires_at": micros_text(row.expires_at) + "Z",
        "links": {"self": here, "roles": f"{here}/roles"},
    }
