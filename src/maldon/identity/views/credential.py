"""Credentials. What is secret in them is shown to whoever may see them at all: that is what they are for."""

from collections.abc import Mapping
from typing import Any


def credential(row: Any, blob: str | None, base: str) -> dict[str, Any]:
    return {
        **(row.extra or {}),
        "id": row.id,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "type": row.type,
        "blob": blob,
        "links": {"self": f"{base}/credentials/{row.id}"},
    }


def ec2(row: Any, blob: Mapping[str, Any], base: str) -> dict[str, Any]:
    """An EC2 credential in the words of the older API."""
    access = blob.get("access")
    return {
        "access": access,
        "secret": blob.get("secret"),
        "user_id": row.user_id,
        "tenant_id": row.project_id,
        "trust_id": blob.get("trust_id"),
        "links": {"self": f"{base}/users/{row.user_id}/credentials/OS-EC2/{access}"},
    }
