"""Who may, in the words that the rules of this room share."""

ADMIN = "role:admin"
ADMIN_OR_SYSTEM_READER = "role:admin or (role:reader and system_scope:all)"
SERVICE = "role:service"
ANYBODY = ""


def in_domain(role: str, key: str) -> str:
    """Whoever has the role on the very domain that the target names under `key`."""
    return f"(role:{role} and domain_id:%({key})s)"


def readers(key: str, *more: str) -> str:
    """Whoever may look: the cloud's readers, the domain's, and some more."""
    return " or ".join((ADMIN_OR_SYSTEM_READER, in_domain("reader", key), *more))


def managers(key: str, *more: str) -> str:
    """Whoever may change: the cloud's admins and the domain's managers."""
    return " or ".join((ADMIN, in_domain("manager", key), *more))
