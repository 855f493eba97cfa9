"""The catalog port: services and their addresses that are written down elsewhere than in our tables.

A catalog is read when a process starts. What it says is put into our tables in place of what they said, so everything
that reads a catalog reads that one; the API shows it and refuses to change it.
"""

from typing import Protocol

import msgspec

INTERFACES = ("public", "internal", "admin")


class BadCatalog(Exception):
    """A catalog that cannot be honoured; the text is a sentence for the operator."""


class CatalogService(msgspec.Struct, frozen=True):
    """A service in one region: its addresses by interface, with $(project_id)s and the like in them."""

    region: str
    type: str
    name: str
    urls: dict[str, str]


class Catalog(Protocol):
    """Made with what the setting `catalog_source` says: a path, a URL."""

    def services(self) -> list[CatalogService]:
        """All of them, a service once in each region. Blocking. Raises BadCatalog."""
