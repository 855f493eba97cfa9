"""GET /info: what this store can do and where its limits are, for clients to look before they ask.

The section `swift` is the core's; each layer that is on adds its own.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from maldon import __version__
from maldon.objectstore.middleware.layer import Layer
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.store import Store

LEVEL = "2.38.0"  # of the API: the release of Swift that this is compatible with; clients compare it as a number
LIMITS = (
    "max_file_size", "max_meta_name_length", "max_meta_value_length", "max_meta_count", "max_meta_overall_size",
    "max_header_size", "max_object_name_length", "max_container_name_length", "max_account_name_length",
    "account_listing_limit", "container_listing_limit", "account_autocreate", "allow_account_management",
    "allow_open_expired", "strict_cors_mode",
)  # fmt: skip


def information(store: Store, layers: Sequence[Layer]) -> dict[str, Any]:
    """The whole of it."""
    settings, policies = store.settings, store.policies
    swift: dict[str, Any] = {name: getattr(settings, name) for name in LIMITS}
    swift |= {
        "version": LEVEL,
        "valid_api_versions": ["v1", "v1.0"],
        "extra_header_count": 0,
        "max_containers_per_account": 0,
        "max_containers_whitelist": [],
        "cors_allow_origin": list(settings.cors_allow_origin),
        "cors_expose_headers": list(settings.cors_expose_headers),
        "policies": [
            {"name": p.name, "aliases": ", ".join((p.name, *p.aliases))}
            | ({"default": True} if p == policies.default else {})
            for p in policies
            if not p.deprecated
        ],
    }  # fmt: skip
    told = {layer.name: layer.info(store) for layer in layers if layer.info is not None}
    sections = {name: section for name, section in told.items() if section is not None}
    return {"swift": swift, "maldon": {"version": __version__}, **sections}


class Information:
    """The answer, made once."""

    def __init__(self, store: Store, layers: Sequence[Layer]) -> None:
        self._body = msgspec.json.encode(information(store, layers))

    def __call__(self, method: str) -> Response:
        headers = {"content-type": "application/json; charset=UTF-8", "content-length": str(len(self._body))}
        if method == "OPTIONS":
            return Response(200, {"allow": "GET, HEAD, OPTIONS", "content-length": "0"})
        if method not in {"GET", "HEAD"}:
            return Response(405, {"allow": "GET, HEAD, OPTIONS", "content-length": "0"})
        return Response(200, headers, self._body)
