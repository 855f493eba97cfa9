"""Credentials, EC2 keys, tokens for requests signed with one. The signatures are those of Amazon's own examples."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from sqlalchemy import select, update

from maldon.identity.models.credential import credential
from maldon.identity.service import CredentialKeys, rotate_credential_keys
from maldon.identity.verbs.credential import access_hash
from maldon.kernel.clock import SECOND, parse_time
from tests.identity_cloud import DEMO_USER, identity_cloud, project_scope

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
V4_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ACCESS = "AKIAIOSFODNN7EXAMPLE"
V2 = {
    "access": ACCESS,
    "signature": "i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=",
    "host": "elasticmapreduce.amazonaws.com",
    "verb": "GET",
    "path": "/",
    "params": {
        "AWSAccessKeyId": ACCESS,
        "Action": "DescribeJobFlows",
        "SignatureMethod": "HmacSHA256",
        "SignatureVersion": "2",
        "Timestamp": "2011-10-03T15:19:30",
        "Version": "2009-03-31",
    },
}
V4_SCOPE = "20150830/us-east-1/iam/aws4_request"
V4 = {
    "access": ACCESS,
    "signature": "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
    "host": "iam.amazonaws.com",
    "verb": "GET",
    "path": "/",
    "params": {"Action": "ListUsers", "Version": "2010-05-08"},
    "headers": {
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        "Host": "iam.amazonaws.com",
        "X-Amz-Date": "20150830T123600Z",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS}/{V4_SCOPE}, "
        "SignedHeaders=content-type;host;x-amz-date, Signature=see-above",
    },
    "body_hash": hashlib.sha256(b"").hexdigest(),
}


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


@pytest.fixture
async def demo(keystone):
    return await keystone.logged_in("demo", DEMO_USER, project_scope("demo"))


async def ids(keystone):
    """Of the user demo and the project demo."""
    return await keystone.id_of("user", "demo"), await keystone.id_of("project", "demo")


async def amazons_example(keystone, secret=SECRET):
    """The access key and a secret of Amazon's examples as a credential of demo's."""
    user_id, project_id = await ids(keystone)
    blob = json.dumps({"access": ACCESS, "secret": secret})
    return await keystone.make("credential", user_id=user_id, project_id=project_id, type="ec2", blob=blob)


def move_to(keystone, text):
    """Set the clock."""
    clock = keystone.cloud.clock
    clock.advance((parse_time(text) - clock.now()) / SECOND)


async def test_a_credential_is_kept_shown_changed_and_deleted(keystone):
    user_id, project_id = await ids(keystone)
    blob = '{"access": "a", "secret": "s"}'
    made = await keystone.make("credential", user_id=user_id, project_id=project_id, type="ec2", blob=blob, note="n")
    id_ = hashlib.sha256(b"a").hexdigest()
    assert made == {
        "id": id_,
        "user_id": user_id,
        "project_id": project_id,
        "type": "ec2",
        "blob": blob,
        "note": "n",
        "links": {"self": f"http://cloud.test/identity/v3/credentials/{id_}"},
    }
    assert await keystone.show("credential", id_) == made
    cert = await keystone.make("credential", user_id=user_id, type="cert", blob="-----BEGIN")
    listed = [
        (await keystone("GET", f"/credentials{query}")).json["credentials"]
        for query in ("?type=cert", f"?user_id={user_id}&type=ec2", "?user_id=nobody", "?limit=1")
    ]
    assert listed == [[cert], [made], [], [min(made, cert, key=lambda one: one["id"])]]
    change = {"credential": {**made, "blob": '{"access": "b", "secret": "t"}', "note": "m"}}
    changed = (await keystone("PATCH", f"/credentials/{id_}", change)).json["credential"]
    assert changed == change["credential"]
    assert await keystone.show("credential", id_) == changed
    assert (await keystone("DELETE", f"/credentials/{id_}")).status == 204
    assert (await keystone("GET", f"/credentials/{id_}")).status == 404


async def test_the_database_holds_no_secret(keystone):
    user_id, _ = await ids(keystone)
    await keystone.make("credential", user_id=user_id, type="totp", blob="the seed")
    async with keystone.cloud.db.read() as session:
        (row,) = await session.all(select(credential))
    assert not any("seed" in str(value) for value in row)


async def test_rotated_keys_leave_every_secret_readable_and_under_the_newest(keystone, tmp_path):
    user_id, _ = await ids(keystone)
    first, op = await keystone.make("credential", user_id=user_id, type="totp", blob="one"), keystone.cloud.op()
    keys = op.use(CredentialKeys)
    for rotation in range(4):
        late = keys.hide("two")  # by a process that wrote it while the rotation ran
        assert await rotate_credential_keys(op) == 1
        async with op.db.begin() as session:
            (row,) = await session.all(select(credential))
            assert keys.is_current(row.sealed)
            await session.run(update(credential).values(sealed=late))
        blob = (await keystone.show("credential", first["id"]))["blob"]
        assert blob == "two", rotation
    files = {path.name for path in (tmp_path / "credential-keys").iterdir()}
    assert len(files) == 3


async def test_a_secret_whose_key_is_gone_hides_nothing_else(keystone, tmp_path):
    user_id, project_id = await ids(keystone)
    path = f"/users/{user_id}/credentials/OS-EC2"
    lost = (await keystone("POST", path, {"tenant_id": project_id})).json["credential"]
    for file in (tmp_path / "credential-keys").iterdir():
        file.unlink()
    op = keystone.cloud.op()
    op.kit[CredentialKeys] = CredentialKeys(tmp_path / "credential-keys")
    kept = await keystone.make("credential", user_id=user_id, type="totp", blob="b")
    listed = (await keystone("GET", "/credentials")).json["credentials"]
    assert {one["id"]: one["blob"] for one in listed} == {access_hash(lost["access"]): None, kept["id"]: "b"}
    got = await keystone("GET", f"/credentials/{access_hash(lost['access'])}")
    assert (got.status, "Delete it" in got.json["error"]["message"]) == (503, True)
    assert [one["secret"] for one in (await keystone("GET", path)).json["credentials"]] == [None]
    assert await rotate_credential_keys(op) == 1
    assert (await keystone("DELETE", f"{path}/{lost['access']}")).status == 204


async def test_what_makes_no_credential_is_refused(keystone):
    user_id, project_id = await ids(keystone)
    good = {"user_id": user_id, "project_id": project_id, "type": "ec2", "blob": '{"access": "a", "secret": "s"}'}
    for bad in (
        {"user_id": "nobody"},
        {"project_id": "nowhere"},
        {"project_id": None},
        {"blob": "no JSON"},
        {"blob": "[]"},
        {"blob": '{"access": "a"}'},
        {"blob": '{"access": "", "secret": "s"}'},
        {"blob": '{"access": 1, "secret": "s"}'},
    ):
        assert (await keystone("POST", "/credentials", {"credential": good | bad})).status == 400, bad
    made = await keystone.make("credential", **good)
    assert (await keystone("POST", "/credentials", {"credential": good})).status == 409
    for bad in (
        {"blob": '{"access": "a", "secret": "s", "trust_id": "t"}'},
        {"blob": "x"},
        {"user_id": await keystone.id_of("user", "admin")},
        {"project_id": await keystone.id_of("project", "admin")},
        {"project_id": None},
        {"type": "totp"},
    ):
        assert (await keystone("PATCH", f"/credentials/{made['id']}", {"credential": bad})).status == 400, bad


async def test_a_credential_is_its_owners_business(keystone, demo):
    user_id, project_id = await ids(keystone)
    admin_id = await keystone.id_of("user", "admin")
    own = {"user_id": user_id, "project_id": project_id, "type": "totp", "blob": "s"}
    mine = await demo.make("credential", **own)
    foreign = await keystone.make("credential", user_id=admin_id, type="totp", blob="s")
    assert (await demo("POST", "/credentials", {"credential": own | {"user_id": admin_id}})).status == 403
    assert await demo.show("credential", mine["id"]) == mine
    assert (await demo("GET", f"/credentials?user_id={admin_id}")).json["credentials"] == []
    assert (await demo("GET", "/credentials")).json["credentials"] == [mine]
    for method, body in (("GET", None), ("PATCH", {"credential": {"blob": "x"}}), ("DELETE", None)):
        assert (await demo(method, f"/credentials/{foreign['id']}", body)).status == 403
    assert (await demo("DELETE", f"/credentials/{mine['id']}")).status == 204
    assert (await keystone("GET", "/credentials")).json["credentials"] == [foreign]


async def test_credentials_go_with_their_user_and_their_project(keystone):
    user = await keystone.user("somebody")
    project = await keystone.make("project", name="p")
    kept = await keystone.make("credential", user_id=await keystone.id_of("user", "demo"), type="t", blob="b")
    await keystone.make("credential", user_id=kept["user_id"], project_id=project["id"], type="t", blob="b")
    await keystone.make("credential", user_id=user["id"], type="t", blob="b")
    assert (await keystone("DELETE", f"/users/{user['id']}")).status == 204
    assert (await keystone("DELETE", f"/projects/{project['id']}")).status == 204
    assert (await keystone("GET", "/credentials")).json["credentials"] == [kept]


async def test_a_users_ec2_credentials(keystone, demo):
    user_id, project_id = await ids(keystone)
    path = f"/users/{user_id}/credentials/OS-EC2"
    made = (await demo("POST", path, {"tenant_id": project_id})).json["credential"]
    assert made == {
        "access": made["access"],
        "secret": made["secret"],
        "tenant_id": project_id,
        "user_id": user_id,
        "trust_id": None,
        "links": {"self": f"http://cloud.test/identity/v3{path}/{made['access']}"},
    }
    assert len(made["access"]) == len(made["secret"]) == 32
    assert (await demo("GET", f"{path}/{made['access']}")).json == {"credential": made}
    listed = (await demo("GET", path)).json
    assert (listed["credentials"], listed["links"]["self"]) == ([made], f"http://cloud.test/identity/v3{path}")
    (general,) = (await demo("GET", "/credentials?type=ec2")).json["credentials"]
    assert json.loads(general["blob"]) == {"access": made["access"], "secret": made["secret"], "trust_id": None}
    elsewhere = f"/users/{await keystone.id_of('user', 'admin')}/credentials/OS-EC2"
    assert [
        (await demo("GET", elsewhere)).status,
        (await demo("POST", elsewhere, {"tenant_id": project_id})).status,
    ] == [403, 403]
    assert (await keystone("GET", f"{elsewhere}/{made['access']}")).status == 404
    assert (await demo("POST", path, {"tenant_id": "nowhere"})).status == 404
    assert [(await demo("DELETE", f"{path}/{made['access']}")).status for _ in range(2)] == [204, 404]


async def signed(keystone, body, kind="ec2"):
    return await keystone("POST", f"/{kind}tokens", {"credentials": body})


@pytest.mark.parametrize(
    ("body", "secret", "when"), [(V2, SECRET, "2011-10-03T15:20:00"), (V4, V4_SECRET, "2015-08-30T12:40:00")]
)
async def test_a_signed_ec2_request_stands_for_a_token(keystone, body, secret, when):
    made = await amazons_example(keystone, secret)
    move_to(keystone, when)
    got = await signed(keystone, body)
    token = got.json["token"]
    assert (got.status, token["methods"]) == (200, ["ec2credential"])
    assert (token["user"]["id"], token["project"]["id"]) == (made["user_id"], made["project_id"])
    assert sorted(role["name"] for role in token["roles"]) == ["member", "reader"]
    assert token["catalog"]
    own = keystone.as_(got.headers["x-subject-token"])
    assert [p["id"] for p in (await own("GET", "/auth/projects")).json["projects"]] == [made["project_id"]]
    with_port = {**body, "host": f"{body['host']}:8773"}
    old_name = {"ec2Credentials": with_port}
    assert (await keystone("POST", "/ec2tokens", old_name)).status == 200


@pytest.mark.parametrize(
    ("body", "secret", "when"), [(V2, SECRET, "2011-10-03T15:20:00"), (V4, V4_SECRET, "2015-08-30T12:40:00")]
)
async def test_a_request_that_was_not_signed_so_stands_for_nothing(keystone, body, secret, when):
    await amazons_example(keystone, secret)
    move_to(keystone, when)
    for bad in (
        {"signature": "x"},
        {"signature": body["signature"][:-1] + "☃"},
        {"access": "nobody", "params": {**body["params"], "AWSAccessKeyId": "nobody"}},
        {"host": "elsewhere", "headers": {**body.get("headers", {}), "Host": "elsewhere"}},
        {"verb": "PUT"},
        {"path": "/x"},
        {"params": {**body["params"], "Action": "Other"}},
    ):
        got = await signed(keystone, body | bad)
        assert got.status in {400, 401}, bad
        assert "x-subject-token" not in got.headers


async def test_a_signature_is_of_a_version_we_know_and_names_itself_well(keystone):
    await amazons_example(keystone)
    move_to(keystone, "2015-08-30T12:40:00")
    header = V4["headers"]["Authorization"]
    for bad in (
        {**V2, "params": {**V2["params"], "SignatureVersion": "1"}},
        {**V2, "params": {**V2["params"], "SignatureMethod": "HmacMD5"}},
        {**V4, "headers": {**V4["headers"], "Authorization": header.replace(ACCESS, "other")}},
        {**V4, "headers": {**V4["headers"], "Authorization": header.replace("20150830", "20150831")}},
        {**V4, "headers": {**V4["headers"], "Authorization": "AWS4-HMAC-SHA256"}},
    ):
        assert (await signed(keystone, bad)).status == 400, bad
    assert (await keystone("POST", "/ec2tokens", {})).status == 400


@pytest.mark.parametrize(
    ("body", "secret", "times"),
    [
        (V2, SECRET, {"2011-10-03T15:34:30": 200, "2011-10-03T15:34:31": 401, "2011-10-03T15:04:29": 401}),
        (V4, V4_SECRET, {"2015-08-30T12:51:00": 200, "2015-08-30T12:51:01": 401, "2015-08-30T12:20:59": 401}),
    ],
)
async def test_a_signature_is_good_for_a_quarter_of_an_hour(keystone, body, secret, times):
    await amazons_example(keystone, secret)
    for when, status in times.items():
        move_to(keystone, when)
        assert (await signed(keystone, body)).status == status, when


async def test_only_services_may_ask_what_a_signature_stands_for(keystone, demo):
    await amazons_example(keystone)
    move_to(keystone, "2011-10-03T15:20:00")
    assert [(await signed(who, V2)).status for who in (demo, keystone.as_(""))] == [403, 401]


async def test_a_signature_means_nothing_without_a_role(keystone):
    made = await amazons_example(keystone)
    role_id = await keystone.id_of("role", "member")
    move_to(keystone, "2011-10-03T15:20:00")
    path = f"/projects/{made['project_id']}/users/{made['user_id']}/roles/{role_id}"
    assert (await keystone("DELETE", path)).status == 204
    assert (await signed(keystone, V2)).status == 401


def signed_now(keystone, made):
    """An S3 request signed at this moment with an EC2 credential."""
    when = format_datetime(datetime.fromtimestamp(keystone.cloud.clock.now() // SECOND, UTC))
    text = f"GET\n\n\n{when}\n/bucket"
    signature = base64.b64encode(hmac.digest(made["secret"].encode(), text.encode(), "sha1")).decode()
    return {"access": made["access"], "token": base64.b64encode(text.encode()).decode(), "signature": signature}


async def with_application_credential(keystone, demo, **values):
    """Demo, logged in by an application credential with the role reader; that credential."""
    user_id, _ = await ids(keystone)
    body = {"name": "app", "secret": "app secret", "roles": [{"name": "reader"}], **values}
    made = await demo.make("application_credential", f"users/{user_id}/application_credentials", **body)
    proof = {"id": made["id"], "secret": "app secret"}
    got = await keystone.auth({"methods": ["application_credential"], "application_credential": proof})
    return keystone.as_(got.headers["x-subject-token"]), made


async def test_an_ec2_credential_gives_no_more_than_what_it_was_made_with(keystone, demo):
    user_id, project_id = await ids(keystone)
    at = f"/users/{user_id}/credentials/OS-EC2"
    app, credential_of = await with_application_credential(keystone, demo, unrestricted=True)
    assert (await app("POST", at, {"tenant_id": await keystone.id_of("project", "admin")})).status == 403
    made = (await app("POST", at, {"tenant_id": project_id})).json["credential"]
    token = (await signed(keystone, signed_now(keystone, made), "s3")).json["token"]
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["application_credential"]["id"] == credential_of["id"]
    (kept,) = (await demo("GET", "/credentials?type=ec2")).json["credentials"]
    free = {"access": made["access"], "secret": made["secret"]}
    change = {"credential": {"blob": json.dumps(free)}}
    assert (await demo("PATCH", f"/credentials/{kept['id']}", change)).status == 400
    own = {"user_id": user_id, "project_id": project_id, "type": "ec2"}
    forged = {**own, "blob": json.dumps({"access": "x", "secret": "y", "trust_id": credential_of["id"]})}
    assert (await demo("POST", "/credentials", {"credential": forged})).status == 400
    whole = {**own, "blob": json.dumps({"access": "x", "secret": "y"})}
    assert "app_cred_id" in (await app("POST", "/credentials", {"credential": whole})).json["credential"]["blob"]
    await demo("DELETE", f"/users/{user_id}/application_credentials/{credential_of['id']}")
    assert (await signed(keystone, signed_now(keystone, made), "s3")).status == 401


async def test_a_restricted_application_credential_makes_none(keystone, demo):
    user_id, project_id = await ids(keystone)
    at = f"/users/{user_id}/credentials/OS-EC2"
    made = (await demo("POST", at, {"tenant_id": project_id})).json["credential"]
    app, _ = await with_application_credential(keystone, demo)
    totp = {"credential": {"user_id": user_id, "type": "totp", "blob": "b"}}
    for path, body in ((at, {"tenant_id": project_id}), ("/credentials", totp)):
        assert (await app("POST", path, body)).status == 403
    assert (await app("DELETE", f"{at}/{made['access']}")).status == 403
    assert (await app("GET", f"{at}/{made['access']}")).status == 403  # its secret would give more than the credential


async def test_an_ec2_credential_of_a_trust_ends_with_it(keystone, demo):
    _, project_id = await ids(keystone)
    trustee = await keystone.make("user", name="trustee", password="pw")
    trust = await demo.make(
        "trust",
        "OS-TRUST/trusts",
        trustor_user_id=await keystone.id_of("user", "demo"),
        trustee_user_id=trustee["id"],
        project_id=project_id,
        impersonation=False,
        roles=[{"name": "reader"}],
    )
    by_trust = await keystone.logged_in("trustee", "pw", {"OS-TRUST:trust": {"id": trust["id"]}})
    at = f"/users/{trustee['id']}/credentials/OS-EC2"
    made = (await by_trust("POST", at, {"tenant_id": project_id})).json["credential"]
    assert made["trust_id"] == trust["id"]
    token = (await signed(keystone, signed_now(keystone, made), "s3")).json["token"]
    assert (token["OS-TRUST:trust"]["id"], [role["name"] for role in token["roles"]]) == (trust["id"], ["reader"])
    assert (await demo("DELETE", f"/OS-TRUST/trusts/{trust['id']}")).status == 204
    assert (await signed(keystone, signed_now(keystone, made), "s3")).status == 401


S3_V2 = "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/johnsmith/photos/puppy.jpg"
S3_V2_SIGNATURE = "bWq2s1WEIj+Ydj0vQ697zp+IXMU="
# The first example of Amazon's page on signing S3 requests in their headers.
S3_V4 = (
    "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
    "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972"
)
S3_V4_SIGNATURE = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"


def s3(text, signature, encode=base64.b64encode, more=None):
    return {"access": ACCESS, "token": encode(text.encode()).decode(), "signature": signature, **(more or {})}


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
async def test_a_signed_s3_request_stands_for_a_token(keystone, encode):
    made = await amazons_example(keystone)
    for text, signature, times in (
        (S3_V2, S3_V2_SIGNATURE, {"2007-03-27T19:40:00": 200, "2007-03-27T20:00:00": 401}),
        (S3_V4, S3_V4_SIGNATURE, {"2013-05-24T00:01:00": 200, "2013-05-30T00:00:00": 200, "2013-06-01T00:00:00": 401}),
    ):
        for when, status in times.items():
            move_to(keystone, when)
            got = await signed(keystone, s3(text, signature, encode), "s3")
            assert got.status == status, (text, when)
            if status == 200:
                token = got.json["token"]
                assert (token["user"]["id"], token["project"]["id"]) == (made["user_id"], made["project_id"])
    move_to(keystone, "2013-05-24T00:01:00")
    for bad in ({"signature": "x"}, {"access": "nobody"}, {"token": base64.b64encode(b"GET").decode()}):
        assert (await signed(keystone, s3(S3_V4, S3_V4_SIGNATURE, encode, bad), "s3")).status == 401, bad
    assert (await signed(keystone, s3(S3_V4, S3_V4_SIGNATURE, more={"token": "no base64!"}), "s3")).status == 400
