"""A catalog in a file of lines as Keystone's templated catalog has them.

    catalog.RegionOne.compute.name = nova
    catalog.RegionOne.compute.publicURL = http://cloud.example.com:8774/v2.1

with publicURL, internalURL and adminURL. Empty lines and those that begin with # say nothing.
"""

from pathlib import Path

from maldon.ports.catalog import INTERFACES, BadCatalog, CatalogService

_URLS = {f"{interface}URL": interface for interface in INTERFACES}
LENGTH = 2048


class TemplatedCatalog:
    """See ports.catalog. The source is the path of the file."""

    def __init__(self, source: str) -> None:
        self._path = Path(source)

    def services(self) -> list[CatalogService]:
        try:
            lines = self._path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadCatalog(f"The catalog {self._path} cannot be read: {error}.") from error
        found: dict[tuple[str, str], dict[str, str]] = {}
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                region, type_, what, value = self._read(line, number)
                found.setdefault((region, type_), {})[what] = value
        return [CatalogService(region, type_, said.pop("name", type_), said) for (region, type_), said in found.items()]

    def _read(self, line: str, number: int) -> tuple[str, str, str, str]:
        """Region, type, interface or "name", and its value."""
        key, equals, value = line.partition("=")
        parts, value = key.strip().split("."), value.strip().strip("'\"")
        what = _URLS.get(parts[-1], parts[-1])
        if not equals or len(parts) < 4 or parts[0] != "catalog" or not all(parts):
            raise BadCatalog(f"{self._path}, line {number}: expected catalog.<region>.<type>.<what> = <value>.")
        if what not in {*INTERFACES, "name"}:
            known = ", ".join(["name", *_URLS])
            raise BadCatalog(f"{self._path}, line {number}: there is no {parts[-1]!r} of a service; there are {known}.")
        if not value or len(value) > (LENGTH if what != "name" else 255) or (what != "name" and ":" not in value):
            raise BadCatalog(f"{self._path}, line {number}: that is no {'name' if what == 'name' else 'address'}.")
        return ".".join(parts[1:-2]), parts[-2], what, value
