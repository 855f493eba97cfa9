"""What an LDAP entry says of a user or group, and what an entry has to say for one. Pure.

Attribute names are compared without case. Attributes in an ignore list are neither read nor written; further ones are
mapped by "ldap_attribute:api_attribute".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from maldon.drivers.directory.ldap_options import LdapOptions, words
from maldon.kernel.errors import BadRequest
from maldon.ports.directory import DirectoryGroup, DirectoryUser

VALUE_LENGTH = 16_384
_TRUE = frozenset({"true", "1", "yes", "on"})


@dataclass(frozen=True)
class Entry:
    """One entry: its DN, and the values of its attributes by names in lower case."""

    dn: str
    values: Mapping[str, list[str]] = field(repr=False)

    def first(self, attribute: str | None) -> str | None:
        values = self.values.get(attribute.lower()) if attribute else None
        return values[0] if values else None


def entry_of(response: Mapping[str, Any]) -> Entry:
    """From the library's form."""
    raw = response["raw_attributes"].items()
    values = {name.lower(): [v.decode(errors="replace")[:VALUE_LENGTH] for v in vs] for name, vs in raw if vs}
    return Entry(response["dn"], values)


class UserMap:
    """Users and their entries."""

    def __init__(self, options: LdapOptions) -> None:
        self.options = options
        self.emulated = options.user_enabled_emulation
        ignored = set(words(options.user_attribute_ignore))
        self._has_enabled = "enabled" not in ignored and not self.emulated
        self._extra = {"email": options.user_mail_attribute, "description": options.user_description_attribute}
        self._extra |= _pairs(words(options.user_additional_attribute_mapping))
        self._extra = {name: attribute for name, attribute in self._extra.items() if name not in ignored}
        project = options.user_default_project_id_attribute
        self._project = project if "default_project_id" not in ignored else None

    def attributes(self) -> list[str]:
        """What has to be fetched."""
        own = [self.options.user_id_attribute, self.options.user_name_attribute, *self._extra.values()]
        own += [self.options.user_enabled_attribute] if self._has_enabled else []
        own += [self._project] if self._project else []
        return list(dict.fromkeys(own))

    def user(self, entry: Entry, enabled_dns: frozenset[str] = frozenset()) -> DirectoryUser | None:
        """The user; None of an entry without id or name."""
        id_, name = entry.first(self.options.user_id_attribute), entry.first(self.options.user_name_attribute)
        if not id_ or not name:
            return None
        enabled = entry.dn.lower() in enabled_dns if self.emulated else self._enabled(entry)
        extra = {n: v for n, attribute in self._extra.items() if (v := entry.first(attribute)) is not None}
        return DirectoryUser(id_, name, enabled, entry.first(self._project), extra)

    def _enabled(self, entry: Entry) -> bool:
        if not self._has_enabled:
            return True
        value = entry.first(self.options.user_enabled_attribute) or str(self.options.user_enabled_default)
        if mask := self.options.user_enabled_mask:
            return _number(value) & mask != mask
        return (value.lower() in _TRUE) != self.options.user_enabled_invert

    def written(self, user: DirectoryUser, old: Entry | None = None) -> dict[str, list[str]]:
        """The attributes of the user's entry, an empty list for one to be without. Raises BadRequest."""
        if lost := sorted(user.extra.keys() - self._extra.keys()):
            raise BadRequest(f"The directory has no place for the attribute {lost[0][:64]!r} of a user.")
        if user.default_project_id is not None and self._project is None:
            raise BadRequest("The directory has no place for a user's default_project_id.")
        values = {self.options.user_name_attribute: [user.name]}
        values |= {attribute: _texts(user.extra.get(name)) for name, attribute in self._extra.items()}
        if self._project:
            values[self._project] = _texts(user.default_project_id)
        if self._has_enabled:
            values[self.options.user_enabled_attribute] = [self._enabled_text(user, old)]
        elif not self.emulated and not user.enabled:
            raise BadRequest("The directory has no place for a user that is not enabled.")
        return values

    def _enabled_text(self, user: DirectoryUser, old: Entry | None) -> str:
        if mask := self.options.user_enabled_mask:
            now = old.first(self.options.user_enabled_attribute) if old is not None else None
            number = _number(now or str(self.options.user_enabled_default))
            return str(number & ~mask if user.enabled else number | mask)
        return "TRUE" if user.enabled != self.options.user_enabled_invert else "FALSE"


class GroupMap:
    """Groups and their entries."""

    def __init__(self, options: LdapOptions) -> None:
        self.options = options
        ignored = set(words(options.group_attribute_ignore))
        self._description = None if "description" in ignored else options.group_desc_attribute
        self._extra = {
            name: attribute
            for name, attribute in _pairs(words(options.group_additional_attribute_mapping)).items()
            if name not in ignored
        }

    def attributes(self) -> list[str]:
        """What has to be fetched, members apart."""
        own = [self.options.group_id_attribute, self.options.group_name_attribute, *self._extra.values()]
        return list(dict.fromkeys([*own, *([self._description] if self._description else [])]))

    def group(self, entry: Entry) -> DirectoryGroup | None:
        """The group; None of an entry without id or name."""
        id_, name = entry.first(self.options.group_id_attribute), entry.first(self.options.group_name_attribute)
        if not id_ or not name:
            return None
        extra = {n: v for n, attribute in self._extra.items() if (v := entry.first(attribute)) is not None}
        return DirectoryGroup(id_, name, entry.first(self._description), extra)

    def written(self, group: DirectoryGroup) -> dict[str, list[str]]:
        """The attributes of the group's entry, an empty list for one to be without. Raises BadRequest."""
        if lost := sorted(group.extra.keys() - self._extra.keys()):
            raise BadRequest(f"The directory has no place for the attribute {lost[0][:64]!r} of a group.")
        values = {self.options.group_name_attribute: [group.name]}
        values |= {attribute: _texts(group.extra.get(name)) for name, attribute in self._extra.items()}
        if self._description:
            values[self._description] = _texts(group.description)
        return values


def _pairs(mappings: list[str]) -> dict[str, str]:
    """API attributes and the LDAP ones they come from."""
    return dict(_halves(mappings))


def _halves(mappings: list[str]) -> Iterator[tuple[str, str]]:
    for mapping in mappings:
        attribute, _, name = mapping.partition(":")
        if attribute.strip() and name.strip():
            yield name.strip(), attribute.strip()


def _texts(value: Any) -> list[str]:
    if value is not None and not isinstance(value, str):
        raise BadRequest("The directory keeps texts only.")
    return [value] if value else []


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return 0
