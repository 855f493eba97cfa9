"""Bodies of a domain's configuration: sections of options, each option as its section's Struct has it.

A value is kept as it was given, if the option can be that: "true" is as good as true.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from maldon.identity.schemas.fields import ShortName
from maldon.kernel.errors import BadRequest, Forbidden

IDENTITY, NATIVE = "identity", "sql"


class ChangeConfig(msgspec.Struct):
    """A whole configuration, a section under its name, or one option."""

    config: Annotated[dict[str, Any], Meta(min_length=1, max_length=100)]


class IdentityOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section [identity] of a domain: who keeps its people, and how many of them a listing fetches."""

    driver: ShortName = NATIVE
    list_limit: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """The value of a secret option, as the books have it."""

    text: str


@dataclass(frozen=True)
class Sections:
    """Every option there is. A wrong section or option is refused as the public API does it, by 403."""

    kinds: Mapping[str, type[msgspec.Struct]]
    secrets: Mapping[str, frozenset[str]]

    @cached_property
    def _types(self) -> dict[tuple[str, str], Any]:
        kinds = self.kinds.items()
        return {(section, f.name): f.type for section, kind in kinds for f in msgspec.structs.fields(kind)}

    def check_names(self, section: str, option: str | None = None) -> None:
        """Raises Forbidden for what nobody may configure."""
        if section not in self.kinds:
            known = ", ".join(self.kinds)
            raise Forbidden(
                f"Invalid domain specific configuration: there is no group {section[:64]!r} that can be configured; "
                f"there are {known}."
            )
        if option is not None and (section, option) not in self._types:
            raise Forbidden(
                f"Invalid domain specific configuration: the group {section} has no option {option[:64]!r} that can "
                "be configured."
            )

    def check(self, config: Mapping[str, Any]) -> None:
        """Raises Forbidden, or BadRequest for a value that the option cannot be."""
        for section, options in config.items():
            self.check_names(section)
            if not isinstance(options, dict) or not options:
                raise BadRequest(f"Invalid input for field/attribute {section}. It wants options and their values.")
            for name, value in options.items():
                self.check_names(section, name)
                self._check_value(section, name, value)

    def _check_value(self, section: str, name: str, value: Any) -> None:
        if value is None:
            return
        try:
            msgspec.convert(value, self._types[section, name], strict=False)
        except msgspec.ValidationError as error:
            raise BadRequest(f"Invalid input for field/attribute {section}.{name}. {error}.") from error

    def shown(self, config: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """A configuration without its secrets."""
        return {
            section: {
                name: value
                for name, value in options.items()
                if name not in self.secrets.get(section, ()) and not isinstance(value, Sealed)
            }
            for section, options in config.items()
        }

    def defaults(self) -> dict[str, dict[str, Any]]:
        """What holds where nothing is configured."""
        return self.shown({section: msgspec.to_builtins(kind()) for section, kind in self.kinds.items()})


def flat(config: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, Any]]:
    """Section, option and value of each."""
    for section, options in config.items():
        for name, value in options.items():
            yield section, name, value
