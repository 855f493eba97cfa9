"""Whole numbers as clients send them: as numbers, or as text."""

from typing import Annotated

from msgspec import Meta

from maldon.kernel.errors import BadRequest

Number = int | Annotated[str, Meta(pattern="^-?[0-9]{1,12}$")]
MOST = 2**31 - 1


def number(value: int | str, name: str, least: int = 0, most: int = MOST) -> int:
    """The number, if it is from `least` to `most`. Raises BadRequest."""
    if not least <= int(value) <= most:
        raise BadRequest(f"Invalid input for field/attribute {name}. Value: {value}. It goes from {least} to {most}.")
    return int(value)
