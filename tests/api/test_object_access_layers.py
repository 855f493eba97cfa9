"""Ways in without identity's tokens: the store's own users, signed addresses, forms; and what bounds the writing."""

import base64
import hmac
import json
import time

import pytest

from maldon.kernel.settings import BadSetting
from maldon.objectstore.middleware.read_only import ReadOnlySettings
from maldon.objectstore.middleware.tempauth import TempauthSettings
from tests.object_cloud import object_store

USERS = TempauthSettings(
    users=("acct:owner:secret:.admin", "acct:guest:word", "other:ann:key:.admin", "root:root:toor:.reseller_admin")
)
ALL_ON = {"without": ("name_check",)}


async def login(store, user, key):
    return await store.as_("").raw("GET", "/auth/v1.0", X_Auth_User=user, X_Auth_Key=key)


@pytest.fixture
async def own(tmp_path):
    """The store as acct:owner sees it."""
    async with object_store(tmp_path, USERS, **ALL_ON) as made:
        token = (await login(made, "acct:owner", "secret")).headers["x-auth-token"]
        asker = made.as_(token, "AUTH_acct")
        await asker("PUT", "c")
        await asker("PUT", "c/o", b"body")
        yield asker


async def as_user(own, user, key):
    return own.as_((await login(own, user, key)).headers["x-auth-token"])


async def test_a_user_of_the_store_logs_in(own):
    got = await login(own, "acct:owner", "secret")
    assert (got.status, got.headers["x-storage-url"]) == (200, "http://store.test/v1/AUTH_acct")
    assert got.json == {"storage": {"default": "local", "local": "http://store.test/v1/AUTH_acct"}}
    for user, key in (("acct:owner", "wrong"), ("acct:nobody", "secret"), ("", "")):
        assert (await login(own, user, key)).status == 401


async def test_a_token_that_was_changed_is_nobodys(own):
    token = own.token
    raw = bytearray(base64.urlsafe_b64decode(token[7:] + "=="))
    raw[-1] ^= 1
    forged = token[:7] + base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")
    assert [(await own.as_(t)("GET", "c/o")).status for t in (token, forged, "AUTH_tk", "AUTH_tk%%")] == [
        200,
        401,
        401,
        401,
    ]


async def test_groups_decide_who_may(own):
    guest, ann = await as_user(own, "acct:guest", "word"), await as_user(own, "other:ann", "key")
    root = await as_user(own, "root:root", "toor")
    assert [(await who("GET", "c/o")).status for who in (guest, ann, root)] == [403, 403, 200]
    await own("POST", "c", X_Container_Read="acct", X_Container_Write="other:ann")
    assert [(await who("GET", "c/o")).status for who in (guest, ann)] == [200, 403]
    assert [(await who("PUT", "c/n", b"x")).status for who in (guest, ann)] == [403, 201]
    await own("POST", "c", X_Container_Read=".r:*")
    assert (await own.as_("")("GET", "c/o")).body == b"body"


async def test_an_account_lets_others_in(own):
    ann = await as_user(own, "other:ann", "key")
    said = await own("POST", X_Account_Access_Control=json.dumps({"read-only": ["other:ann"]}))
    assert said.status == 204
    assert [(await ann(*what)).status for what in (("GET", "c/o"), ("PUT", "c/x", b"x"), ("GET", ""))] == [
        200,
        403,
        200,
    ]
    await own("POST", X_Account_Access_Control=json.dumps({"read-write": ["other"]}))
    assert (await ann("PUT", "c/x", b"x")).status == 201
    assert (await ann("POST", X_Account_Meta_A="1")).status == 403
    assert "x-account-access-control" in (await own("HEAD")).headers
    assert "x-account-access-control" not in (await ann("HEAD")).headers
    for bad in ("[]", '{"all": ["x"]}', '{"admin": "x"}', "{"):
        assert (await own("POST", X_Account_Access_Control=bad)).status == 400


def signed(key, *lines, digest="sha256"):
    return hmac.new(key.encode(), "\n".join(lines).encode(), digest).hexdigest()


async def temporary(own, method, path, key="key", until=None, digest="sha256", more="", body=b"", signed_for=None):
    end = str(int(time.time()) + 60 if until is None else until)
    sig = signed(key, signed_for or method, end, f"/v1/{own.account}/{path}", digest=digest)
    query = f"temp_url_sig={sig}&temp_url_expires={end}{more}"
    return await own.as_("")(method, path, body, query)


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
async def test_a_signed_address_needs_no_token(own, digest):
    await own("POST", X_Account_Meta_Temp_URL_Key="key")
    got = await temporary(own, "GET", "c/o", digest=digest)
    assert (got.status, got.body) == (200, b"body")
    assert got.headers["content-disposition"] == "attachment; filename=\"o\"; filename*=UTF-8''o"
    assert (await temporary(own, "HEAD", "c/o", signed_for="GET", digest=digest)).status == 200
    assert (await temporary(own, "PUT", "c/new", body=b"n", digest=digest)).status == 201
    named = await temporary(own, "GET", "c/o", more="&filename=a%22b&inline", digest=digest)
    assert named.headers["content-disposition"].startswith('inline; filename="a%22b"')


async def test_what_nobody_signed_is_refused(own):
    await own("POST", X_Account_Meta_Temp_URL_Key="key", X_Account_Meta_Temp_URL_Key_2="second")
    assert (await temporary(own, "GET", "c/o", key="second")).status == 200
    for changed in ({"key": "wrong"}, {"until": 1}, {"signed_for": "PUT"}, {"more": "&temp_url_ip_range=10.0.0.0/8"}):
        assert (await temporary(own, "GET", "c/o", **changed)).status == 401
    assert (await own.as_("")("GET", "c/o", query="temp_url_sig=zz&temp_url_expires=9999999999")).status == 401
    end = str(int(time.time()) + 60)
    sig = signed("key", "PUT", end, f"/v1/{own.account}/c/m")
    query = f"temp_url_sig={sig}&temp_url_expires={end}"
    assert (await own.as_("")("PUT", "c/m", query=query, X_Object_Manifest="c/o")).status == 400


async def test_a_containers_key_reaches_that_container_alone(own):
    await own("PUT", "d")
    await own("PUT", "d/o", b"other")
    await own("POST", "c", X_Container_Meta_Temp_URL_Key="key")
    assert [(await temporary(own, "GET", path)).status for path in ("c/o", "d/o")] == [200, 401]
    end = str(int(time.time()) + 60)
    sig = signed("key", "GET", end, f"prefix:/v1/{own.account}/c/a")
    query = f"temp_url_sig={sig}&temp_url_expires={end}&temp_url_prefix=a"
    await own("PUT", "c/abc", b"abc")
    assert [(await own.as_("")("GET", path, query=query)).status for path in ("c/abc", "c/o")] == [200, 401]


def form(fields, files, boundary="xyz"):
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields]
    for n, (name, content) in enumerate(files):
        head = f'Content-Disposition: form-data; name="file{n}"; filename="{name}"\r\nContent-Type: text/x'
        parts.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


async def post_form(own, files, key="key", path="c/up-", size="10", count="2", redirect="", end=None):
    end = str(int(time.time()) + 60 if end is None else end)
    sig = signed(key, f"/v1/{own.account}/{path}", redirect, size, count, end)
    fields = [("redirect", redirect), ("max_file_size", size), ("max_file_count", count), ("expires", end)]
    body = form([*fields, ("signature", sig)], files)
    return await own.as_("")("POST", path, body, Content_Type="multipart/form-data; boundary=xyz")


async def test_a_page_uploads_by_its_form(own):
    await own("POST", X_Account_Meta_Temp_URL_Key="key")
    made = await post_form(own, [("a.txt", b"first"), ("b.txt", b"second")])
    assert made.status == 201
    got = await own("GET", "c/up-b.txt")
    assert (got.body, got.headers["content-type"]) == (b"second", "text/x")
    sent = await post_form(own, [("a.txt", b"again")], redirect="http://site.test/done")
    assert (sent.status, sent.headers["location"]) == (303, "http://site.test/done?status=201&message=")


@pytest.mark.parametrize(
    ("files", "more", "status", "said"),
    [
        ([("a", b"12345678901")], {}, 400, b"max_file_size exceeded"),
        ([("a", b"1"), ("b", b"2"), ("c", b"3")], {}, 400, b"max file count exceeded"),
        ([], {}, 400, b"no files to process"),
        ([("a", b"1")], {"key": "wrong"}, 401, b"Invalid Signature"),
        ([("a", b"1")], {"end": 1}, 401, b"Form Expired"),
    ],
)
async def test_forms_that_are_refused(own, files, more, status, said):
    await own("POST", X_Account_Meta_Temp_URL_Key="key")
    got = await post_form(own, files, **more)
    assert (got.status, said in got.body) == (status, True), got.body
    if status == 401:
        assert (await own("HEAD", "c/up-a")).status == 404


async def test_quotas_of_a_container(own):
    await own("POST", "c", X_Container_Meta_Quota_Bytes="10", X_Container_Meta_Quota_Count="2")
    assert (await own("PUT", "c/p", b"1234567")).status == 413
    assert (await own("PUT", "c/p", b"123456")).status == 201
    assert (await own("PUT", "c/q", b"")).status == 413
    assert (await own("POST", "c", X_Container_Meta_Quota_Bytes="many")).status == 400


async def test_quotas_of_an_account_are_a_reseller_admins(own):
    root = await as_user(own, "root:root", "toor")
    assert (await own("POST", X_Account_Quota_Bytes="4")).status == 403
    assert (await root("POST", X_Account_Quota_Bytes="4")).status == 204
    assert (await own("HEAD")).headers["x-account-quota-bytes"] == "4"
    assert [(await own("PUT", "c/p", body)).status for body in (b"12345", b"1234")] == [413, 201]
    assert (await root("POST", X_Remove_Account_Quota_Bytes="x")).status == 204
    assert (await own("PUT", "c/q", b"1" * 100)).status == 201


async def test_quotas_of_a_storage_policy_are_for_what_is_in_it(tmp_path):
    async with object_store(tmp_path, policies=("0:gold", "1:Silver")) as store:
        await store("PUT", "g")
        await store("PUT", "s", X_Storage_Policy="silver")
        reseller = store.as_("reseller", store.account)
        limits = {"X_Account_Quota_Bytes_Policy_Silver": "4", "X_Account_Quota_Count_Policy_Gold": "0"}
        assert (await reseller("POST", **limits)).status == 204
        assert (await store("HEAD")).headers["x-account-quota-bytes-policy-silver"] == "4"
        assert [(await store("PUT", "s/o", body)).status for body in (b"12345", b"1234")] == [413, 201]
        full = await store("PUT", "g/o", b"")
        assert (full.status, full.body) == (413, b"Upload exceeds policy quota.")
        assert (await reseller("PUT", "g/o", b"")).status == 201
        assert (await reseller("POST", X_Account_Quota_Bytes_Policy_Bronze="4")).status == 400
        assert (await reseller("POST", X_Remove_Account_Quota_Count_Policy_Gold="x")).status == 204
        assert (await store("PUT", "g/p", b"")).status == 201


async def test_a_store_may_be_for_reading_only(tmp_path):
    async with object_store(tmp_path) as store:
        await store("PUT", "c")
    async with object_store(tmp_path, ReadOnlySettings(read_only=True)) as store:
        statuses = [(await store(method, "c")).status for method in ("PUT", "POST", "DELETE", "GET", "HEAD")]
        assert statuses == [405, 405, 405, 204, 204]


def test_a_user_that_cannot_be_read_is_a_bad_setting(tmp_path):
    from maldon.objectstore.middleware.tempauth import Users

    with pytest.raises(BadSetting, match="account:user:key"):
        Users(TempauthSettings(users=("half:a-user",)), "AUTH_")
