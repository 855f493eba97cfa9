"""Plain requests pass by the layers; what is a layer's business does not, however well the container is known."""

import base64
import json
import os

import pytest

from maldon.objectstore.middleware.etag_quoter import EtagQuoterSettings
from maldon.objectstore.middleware.keys import EncryptionSettings
from maldon.objectstore.middleware.ratelimit import RatelimitSettings
from maldon.objectstore.middleware.read_only import ReadOnlySettings
from tests.object_cloud import ACCOUNT, object_store


@pytest.fixture
async def store(tmp_path):
    async with object_store(tmp_path, known_s=60.0) as asker:
        assert (await asker("PUT", "c")).status == 201
        assert (await asker("PUT", "c/plain", b"plain")).status == 201
        await asker("PUT", "c/plain", b"plain")  # the first one made the account and the container known
        yield asker


async def status(store, *words, **headers):
    """What one request to a known container is answered, whatever was known before."""
    assert (await store("GET", "c/plain")).status == 200
    return (await store(*words, **headers)).status


async def test_what_an_object_is_shows_when_it_is_read(store):
    assert (await store("PUT", "c/link", X_Symlink_Target="c/plain")).status == 201
    manifest = json.dumps([{"path": "/c/plain"}]).encode()
    assert (await store("PUT", "c/slo", manifest, "multipart-manifest=put")).status == 201
    assert (await store("PUT", "c/dlo", X_Object_Manifest="c/pla")).status == 201
    for name in ("link", "slo", "dlo", "plain"):
        assert (await store("GET", f"c/{name}")).body == b"plain", name
        assert (await store("HEAD", f"c/{name}")).headers["content-length"] == "5", name
        assert (await store("GET", f"c/{name}", Range="bytes=1-2")).body == b"la", name
    assert (await store("PUT", "c/link", b"bytes")).status == 201
    assert (await store("GET", "c/link")).body == b"bytes"


async def test_what_is_asked_with_a_request(store):
    assert await status(store, "PUT", "c/copy", X_Copy_From="c/plain") == 201
    assert (await store("GET", "c/copy")).body == b"plain"
    assert (await store("POST", "c", X_Container_Meta_Access_Control_Allow_Origin="*")).status == 204
    assert (await store("GET", "c/plain", Origin="http://elsewhere")).headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in (await store("GET", "c/plain")).headers


async def test_what_a_container_says(store):
    assert (await store("POST", "c", X_Container_Meta_Quota_Count="2")).status == 204
    assert [await status(store, "PUT", f"c/{n}", b"x") for n in range(2)] == [201, 413]
    assert (await store("POST", "c", X_Remove_Container_Meta_Quota_Count="x")).status == 204
    assert await status(store, "PUT", "c/1", b"x") == 201
    assert (await store("POST", "c", X_Container_Rfc_Compliant_Etags="true")).status == 204
    assert (await store("GET", "c/plain")).headers["etag"].startswith('"')
    assert (await store("POST", "c", X_Container_Rfc_Compliant_Etags="")).status == 204
    assert (await store("POST", "c", X_Versions_Enabled="true")).status == 204
    assert (await store("GET", "c/plain")).headers["x-object-version-id"] == "null"
    assert "x-object-version-id" in (await store("PUT", "c/plain", b"again")).headers


async def test_what_an_account_says(store):
    reseller = store.as_("reseller", ACCOUNT)
    assert (await reseller("POST", X_Account_Quota_Bytes="0")).status == 204
    assert await status(store, "PUT", "c/2", b"x") == 413
    assert (await reseller("POST", X_Remove_Account_Quota_Bytes="x")).status == 204
    assert await status(store, "PUT", "c/2", b"x") == 201
    assert (await store("POST", X_Account_Rfc_Compliant_Etags="true")).status == 204
    assert (await store("GET", "c/plain")).headers["etag"].startswith('"')


@pytest.mark.parametrize(
    ("settings", "method", "answer"),
    [
        (ReadOnlySettings(read_only=True), "PUT", 405),
        (EtagQuoterSettings(enable_by_default=True), "GET", 200),
        (RatelimitSettings(container_ratelimits=("0:0.01",), max_sleep_s=0.0, rate_buffer_s=0.0), "PUT", 498),
    ],
)
async def test_what_the_settings_say(tmp_path, settings, method, answer):
    async with object_store(tmp_path, known_s=60.0) as plain:
        for _ in range(2):
            await plain("PUT", "c")
            await plain("PUT", "c/o", b"bytes")
    async with object_store(tmp_path, settings, known_s=60.0) as store:
        got = [await store(method, "c/o", b"x" if method == "PUT" else b"") for _ in range(2)][-1]
        assert got.status == answer
        assert method == "PUT" or got.headers["etag"].startswith('"')


@pytest.mark.parametrize("where", ["settings", "file"])
async def test_what_is_encrypted_is_read_as_it_was_written(tmp_path, where):
    secret = f"1:{base64.b64encode(os.urandom(32)).decode()}"
    (tmp_path / "secrets").write_text(secret)
    (tmp_path / "secrets").chmod(0o600)
    kept = {"root_secrets": (secret,)} if where == "settings" else {"root_secrets_file": str(tmp_path / "secrets")}
    async with object_store(tmp_path / "home", EncryptionSettings(**kept), known_s=60.0) as store:
        assert (await store("PUT", "c")).status == 201
        for _ in range(2):
            assert (await store("PUT", "c/o", b"plain text")).status == 201
            assert (await store("GET", "c/o")).body == b"plain text"
    segments = (tmp_path / "home" / "objects" / "disk-1" / "segments").iterdir()
    assert all(b"plain text" not in segment.read_bytes() for segment in segments)
