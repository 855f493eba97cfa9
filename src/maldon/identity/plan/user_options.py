"""What a user's options mean for the user. Pure."""

from typing import Any


def has(row: Any, option: str) -> bool:
    """Whether a user has an option."""
    return bool((row.options or {}).get(option))


def password_end(row: Any) -> int | None:
    """When the user's password ends, if it does."""
    end: int | None = row.password_expires_at
    return None if end is None or has(row, "ignore_password_expiry") else end
