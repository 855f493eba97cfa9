"""Microversions: one header asks, both headers answer, 406 says the supported range.

`OpenStack-API-Version: compute 2.79` (several services may share it, comma separated) or, for compute, the older
`X-OpenStack-Nova-API-Version: 2.79`. Without a header the lowest version is in force; "latest" is the highest.
"""

import re
from dataclasses import dataclass

from maldon.kernel.errors import BadRequest, NotAcceptable

Version = tuple[int, int]
_FORM = re.compile(r"([1-9]\d{0,3})\.([1-9]\d{0,3}|0)")


@dataclass(frozen=True, slots=True)
class Versions:
    """The range one service honours; `legacy_header` is a header of its own, where it has one."""

    service: str
    lowest: Version
    highest: Version
    legacy_header: str = ""

    def negotiate(self, generic: str, legacy: str) -> Version:
        """The version in force. Raises BadRequest for a bad form, NotAcceptable for one out of range."""
        wanted = ""
        for part in generic.split(",") if generic else ():
            name, _, number = part.strip().partition(" ")
            if name.lower() == self.service:
                wanted = number.strip()
        wanted = wanted or legacy.strip()
        if not wanted:
            return self.lowest
        if wanted == "latest":
            return self.highest
        form = _FORM.fullmatch(wanted)
        if form is None:
            raise BadRequest(
                f"API Version String {wanted[:50]!r} is of invalid format. Must be of format MajorNum.MinorNum."
            )
        version = int(form[1]), int(form[2])
        if not self.lowest <= version <= self.highest:
            raise NotAcceptable(
                f"Version {wanted} is not supported by the API. Minimum is {text(self.lowest)} "
                f"and maximum is {text(self.highest)}."
            )
        return version

    def headers(self, version: Version) -> list[tuple[str, str]]:
        """What the answer says of the version in force; names in lower case."""
        headers = [("openstack-api-version", f"{self.service} {text(version)}")]
        vary = "OpenStack-API-Version"
        if self.legacy_header:
            headers.append((self.legacy_header.lower(), text(version)))
            vary += f", {self.legacy_header}"
        return [*headers, ("vary", vary)]


def text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"
