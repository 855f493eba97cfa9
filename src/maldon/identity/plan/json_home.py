"""The API as a JSON home document: what each relation of the public API is called, and where it is. Pure.

It follows from the route table. A relation is named by the nouns of its path, each in the singular where one thing is
meant: /v3/projects/{project_id}/users/{user_id}/roles is "project_user_roles". Where the public API has its own word,
`_NAMED` says so.
"""

from collections.abc import Iterable
from typing import Any

_ROOT = "https://docs.openstack.org/api/openstack-identity/3"
_NAMED = {
    "/v3/users/{user_id}/password": "user_change_password",
    "/v3/roles/{role_id}/implies": "implied_roles",
    "/v3/roles/{role_id}/implies/{implied_role_id}": "implied_role",
    "/v3/limits/model": "limit_model",
    "/v3/domains/{domain_id}/config/{group}": "domain_config_group",
    "/v3/domains/{domain_id}/config/{group}/{option}": "domain_config_option",
    "/v3/domains/config/default": "domain_config_default",
    "/v3/domains/config/{group}/default": "domain_config_default_group",
    "/v3/domains/config/{group}/{option}/default": "domain_config_default_option",
    "/v3/auth/tokens/OS-PKI/revoked": "revocations",
    "/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/endpoints": "endpoints_in_endpoint_group",
    "/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects": "projects_associated_with_endpoint_group",
    "/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}": (
        "endpoint_group_to_project_association"
    ),
    "/v3/OS-SIMPLE-CERT/ca": "ca_certificate",
    "/v3/OS-OAUTH1/request_token": "request_tokens",
    "/v3/OS-OAUTH1/access_token": "access_tokens",
    "/v3/OS-OAUTH1/authorize/{request_token_id}": "authorize_request_token",
    "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints/{endpoint_id}": "endpoint_policy_association",
    "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}": "service_policy_association",
    "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY/services/{service_id}/regions/{region_id}": (
        "region_and_service_policy_association"
    ),
}
_EXTENSIONS = {"/v3/ec2tokens": "OS-EC2", "/v3/s3tokens": "s3tokens"}
# Variables that an extension brought; all others are the API's own.
_BROUGHT = {
    "endpoint_group_id": "OS-EP-FILTER",
    "consumer_id": "OS-OAUTH1",
    "request_token_id": "OS-OAUTH1",
    "access_token_id": "OS-OAUTH1",
    "trust_id": "OS-TRUST",
}


def document(paths: Iterable[str], prefix: str) -> dict[str, Any]:
    """The document of these paths, each shown below `prefix` instead of /v3."""
    below = [path for path in paths if path.startswith("/v3/")]
    return {"resources": {relation(path): _place(path, prefix) for path in sorted(below)}}


def relation(path: str) -> str:
    """What the thing at a path is called."""
    segments = path.removeprefix("/v3/").split("/")
    extension = _EXTENSIONS.get(path) or next((s for s in segments if s.startswith("OS-")), None)
    return f"{_space(extension)}/rel/{_NAMED.get(path) or _nouns(segments)}"


def _space(extension: str | None) -> str:
    return f"{_ROOT}/ext/{extension}/1.0" if extension else _ROOT


def _nouns(segments: list[str]) -> str:
    words = [s for s in segments if not s.startswith("OS-")]
    following = [*words[1:], ""]
    pairs = zip(words, following, strict=True)
    return "_".join(_one(word) if after.startswith("{") else word for word, after in pairs if not word.startswith("{"))


def _one(plural: str) -> str:
    """The singular."""
    return f"{plural[:-3]}y" if plural.endswith("ies") else plural.removesuffix("s")


def _place(path: str, prefix: str) -> dict[str, Any]:
    href = prefix + path.removeprefix("/v3")
    names = [s.strip("{}") for s in path.split("/") if s.startswith("{")]
    if not names:
        return {"href": href}
    return {"href-template": href, "href-vars": {name: f"{_space(_BROUGHT.get(name))}/param/{name}" for name in names}}
