"""An import that was done, as the API shows it."""

from typing import Any

from maldon.kernel.clock import SECOND, seconds_text

_KEPT_S = 48 * 3600


def task(row: Any) -> dict[str, Any]:
    at = f"{seconds_text(row.created_at)}.000000"
    return {
        "id": row.id,
        "image_id": row.image_id,
        "request_id": row.request_id,
        "user_id": row.user_id,
        "owner": row.owner,
        "type": "api_image_import",
        "status": "success",
        "input": {"image_id": row.image_id, "import_req": row.request},
        "result": {"image_id": row.image_id},
        "message": "",
        "created_at": at,
        "updated_at": at,
        "expires_at": f"{seconds_text(row.created_at + _KEPT_S * SECOND)}.000000",
        "deleted": False,
        "deleted_at": None,
    }
