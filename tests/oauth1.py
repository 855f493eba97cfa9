"""Requests signed with OAuth 1.0a by the reference client library."""

from oauthlib.oauth1 import Client

CLOUD = "http://cloud.test/identity/v3"


def signed(method, path, at, key, secret, token="", token_secret="", **more):
    """The header Authorization of a request that is made at a time, in microseconds."""
    client = Client(
        key,
        client_secret=secret,
        resource_owner_key=token or None,
        resource_owner_secret=token_secret or None,
        timestamp=str(at // 1_000_000),
        **more,
    )
    _, headers, _ = client.sign(f"{CLOUD}{path}", http_method=method)
    return headers["Authorization"]
