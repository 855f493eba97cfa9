"""The shapes that the route tables of this room share."""

from collections.abc import Mapping

from maldon.web.service import Handler

Methods = Mapping[str, tuple[Handler, str]]


def kept(noun: str, handlers: tuple[Handler, Handler, Handler]) -> Methods:
    """One thing that can be shown, changed and deleted."""
    show, update, remove = handlers
    return {
        "GET": (show, f"identity:get_{noun}"),
        "PATCH": (update, f"identity:update_{noun}"),
        "DELETE": (remove, f"identity:delete_{noun}"),
    }
