"""What every resource shows."""

from typing import Any

from maldon.kernel.clock import seconds_text


def owned(row: Any) -> dict[str, Any]:
    """Id, owner, words, times, revision, tags."""
    return {
        "id": row.id,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "description": row.description,
        "revision_number": row.revision_number,
        "created_at": f"{seconds_text(row.created_at)}Z",
        "updated_at": f"{seconds_text(row.updated_at)}Z",
        "tags": row.tags,
    }


def standard(row: Any) -> dict[str, Any]:
    """The same with the name."""
    return {**owned(row), "name": row.name}
