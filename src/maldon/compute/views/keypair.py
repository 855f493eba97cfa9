"""Keypairs as each microversion shows them."""

from typing import Any

from maldon.kernel.clock import micros_text
from maldon.web.microversion import Version


def brief(keypair: Any, version: Version) -> dict[str, Any]:
    """A keypair in a list."""
    shown = {"name": keypair.name, "public_key": keypair.public_key, "fingerprint": keypair.fingerprint}
    return shown | {"type": keypair.type} if version >= (2, 2) else shown


def created(keypair: Any, private_key: str | None, version: Version) -> dict[str, Any]:
    """The answer to a create; the private half is told this once."""
    shown = brief(keypair, version) | {"user_id": keypair.user_id}
    return shown | {"private_key": private_key} if private_key else shown


def full(keypair: Any, version: Version) -> dict[str, Any]:
    """A keypair by itself."""
    return brief(keypair, version) | {
        "user_id": keypair.user_id,
        "id": keypair.id,
        "created_at": micros_text(keypair.created_at),
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
