"""A share of an image as the API shows it."""

from typing import Any

from maldon.kernel.clock import seconds_text


def member(row: Any) -> dict[str, Any]:
    return {
        "image_id": row.image_id,
        "member_id": row.member_id,
        "status": row.status,
        "created_at": f"{seconds_text(row.created_at)}Z",
        "updated_at": f"{seconds_text(row.updated_at)}Z",
        "schema": "/v2/schemas/member",
    }
