"""GET /info: what this store can do and where its limits are, for clients to look before they ask.

The section `swift` is the core's; each layer that is on adds its own. What `info_hidden` names is shown to operators
alone, who sign the request with the settings' `info_key` as one signs a temporary address: `swiftinfo_expires` and
`swiftinfo_sig`, the HMAC of method, that time and /info.
"""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from maldon import __version__
from maldon.kernel.errors import Forbidden, MethodNotAllowed
from maldon.objectstore.middleware.layer import Layer
from maldon.objectstore.middleware.signatures import DIGESTS, Key, digest_of, mounted, read_expiry, refused, signed_by
from maldon.objectstore.proxy.reply import Response
from maldon.objectstore.proxy.request import ObjectRequest
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


def without(told: dict[str, Any], hidden: Sequence[str]) -> dict[str, Any]:
    """It without what is hidden: a section, or `section.name`."""
    shown = {name: dict(section) for name, section in told.items() if name not in hidden}
    for section, _, name in (text.partition(".") for text in hidden):
        shown.get(section, {}).pop(name, None)
    return shown


class Information:
    """The answers, made once."""

    def __init__(self, store: Store, layers: Sequence[Layer]) -> None:
        told, hidden = information(store, layers), store.settings.info_hidden
        self._public = msgspec.json.encode(without(told, hidden))
        self._whole = msgspec.json.encode({**told, "admin": {"disallowed_sections": list(hidden)}})
        self._shown, self._key = store.settings.expose_info, store.settings.info_key

    def __call__(self, request: ObjectRequest) -> Response:
        """Raises Forbidden, Unauthorized, MethodNotAllowed."""
        if request.method == "OPTIONS":
            return Response(200, {"allow": "GET, HEAD, OPTIONS", "content-length": "0"})
        if request.method not in {"GET", "HEAD"}:
            error = MethodNotAllowed("")
            error.headers = (("Allow", "GET, HEAD, OPTIONS"),)
            raise error
        if not self._shown:
            raise Forbidden("")
        body = self._public
        if {"swiftinfo_sig", "swiftinfo_expires"} & request.query.keys():
            self._check(request)
            body = self._whole
        headers = {"content-type": "application/json; charset=UTF-8", "content-length": str(len(body))}
        return Response(200, headers, body)

    def _check(self, request: ObjectRequest) -> None:
        """Raise Forbidden where nobody may sign, Unauthorized for what is not signed right, or not any more."""
        if not self._key:
            raise Forbidden("")
        until = read_expiry(request.query.get("swiftinfo_expires", ""))
        found = digest_of(request.query.get("swiftinfo_sig", ""), DIGESTS)
        if until is None or until < time.time() or found is None:
            raise refused("")
        methods = {"GET", request.method}
        texts = [f"{method}\n{until}\n{path}" for path in mounted(request, "/info") for method in methods]
        if signed_by([Key(self._key, container=False)], texts, *found) is None:
            raise refused("")
