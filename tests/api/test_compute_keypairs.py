"""Keypairs through the API: made here or brought along, each user's own."""

import re

from cryptography.hazmat.primitives import serialization

from tests.api.compute import SSH_KEY, conforms, nova, ok, statuses

__all__ = ["nova"]
URL = "/os-keypairs"


def pair(**values):
    return {"keypair": values}


async def test_a_made_key_is_told_once_and_fits(nova):
    demo = nova.as_("demo")
    made = (await ok(demo, "POST", URL, pair(name="mine")))["keypair"]
    assert set(made) == {"name", "public_key", "fingerprint", "user_id", "private_key"}
    private = serialization.load_pem_private_key(made["private_key"].encode(), None)
    text = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert made["public_key"] == f"{text.decode()} Generated-by-Maldon"
    assert re.fullmatch("([0-9a-f]{2}:){15}[0-9a-f]{2}", made["fingerprint"])
    shown = (await ok(demo, "GET", URL + "/mine"))["keypair"]
    assert shown["public_key"] == made["public_key"]
    assert "private_key" not in shown


async def test_keys_as_each_version_shows_them(nova):
    demo = nova.as_("demo")
    old = await ok(demo, "POST", URL, pair(name="old", public_key=SSH_KEY))
    fingerprint = old["keypair"]["fingerprint"]
    assert old == pair(name="old", public_key=SSH_KEY, fingerprint=fingerprint, user_id="u-demo")
    new = await ok(demo, "POST", URL, pair(name="new", type="ssh", public_key=SSH_KEY), "2.2", 201)
    assert new["keypair"]["type"] == "ssh"
    for version, module in (("2.1", "v2_1"), ("2.2", "v2_2"), ("2.96", "v2_2")):
        conforms(await ok(demo, "GET", URL, None, version), f"{module}.keypairs", "list_keypairs")
        conforms(await ok(demo, "GET", URL + "/old", None, version), f"{module}.keypairs", "get_keypair")
    await ok(demo, "DELETE", URL + "/old", status=202)
    await ok(demo, "DELETE", URL + "/new", None, "2.2", 204)
    assert await ok(demo, "GET", URL) == {"keypairs": []}


async def test_a_certificate_is_made_or_brought(nova):
    made = (await ok(nova, "POST", URL, pair(name="win", type="x509"), "2.2", 201))["keypair"]
    assert made["public_key"].startswith("-----BEGIN CERTIFICATE-----")
    assert made["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    brought = pair(name="again", type="x509", public_key=made["public_key"])
    again = (await ok(nova, "POST", URL, brought, "2.92", 201))["keypair"]
    assert again["fingerprint"] == made["fingerprint"]


async def test_a_user_has_keys_of_its_own_and_an_admin_has_everybodys(nova):
    demo, other = nova.as_("demo"), nova.as_("other")
    for who in (demo, other):
        await ok(who, "POST", URL, pair(name="k", public_key=SSH_KEY))
    await ok(nova, "POST", URL, pair(name="given", public_key=SSH_KEY, user_id="u-demo"), "2.10", 201)
    listed = await ok(nova, "GET", URL + "?user_id=u-demo", None, "2.10")
    assert [one["keypair"]["name"] for one in listed["keypairs"]] == ["given", "k"]
    assert (await ok(nova, "GET", URL + "?user_id=u-demo"))["keypairs"] == []
    await ok(other, "GET", URL + "/given?user_id=u-demo", None, "2.10", 403)
    await ok(other, "DELETE", URL + "/given", None, "2.10", 404)
    await ok(nova, "DELETE", URL + "/given?user_id=u-demo", None, "2.10", 204)


async def test_lists_are_paged_since_235(nova):
    for name in ("c", "a", "b"):
        await ok(nova, "POST", URL, pair(name=name, public_key=SSH_KEY))
    assert len((await ok(nova, "GET", URL + "?limit=2"))["keypairs"]) == 3
    page = await ok(nova, "GET", URL + "?limit=2", None, "2.35")
    assert [one["keypair"]["name"] for one in page["keypairs"]] == ["a", "b"]
    follow = page["keypairs_links"][0]["href"].removeprefix("http://cloud.test/compute/v2.1")
    assert [one["keypair"]["name"] for one in (await ok(nova, "GET", follow, None, "2.35"))["keypairs"]] == ["c"]


async def test_the_quota_of_keys_holds(nova):
    await ok(nova, "PUT", f"/os-quota-sets/{'d' * 32}", {"quota_set": {"key_pairs": 1}})
    demo = nova.as_("demo")
    await ok(demo, "POST", URL, pair(name="a", public_key=SSH_KEY))
    refused = await ok(demo, "POST", URL, pair(name="b", public_key=SSH_KEY), status=403)
    assert refused["forbidden"]["message"] == "Quota exceeded, too many key pairs: 1 are allowed."


BAD = [
    ("", "2.1", "GET", URL, None, 401),
    ("demo", "2.1", "POST", URL, {}, 400),
    ("demo", "2.1", "POST", URL, pair(), 400),
    ("demo", "2.1", "POST", URL, pair(name=""), 400),
    ("demo", "2.1", "POST", URL, pair(name="x" * 256), 400),
    ("demo", "2.1", "POST", URL, pair(name=r"key_/.\@:"), 400),
    ("demo", "2.1", "POST", URL, pair(name=" a", public_key=SSH_KEY), 400),
    ("demo", "2.1", "POST", URL, pair(name=1), 400),
    ("demo", "2.1", "POST", URL, pair(name="a", public_key=" "), 400),
    ("demo", "2.1", "POST", URL, pair(name="a", public_key="ssh-rsa JUNK nova@ubuntu"), 400),
    ("demo", "2.1", "POST", URL, pair(name="a", public_key="ssh-rsa " + "A" * 2048 + " x"), 400),
    ("demo", "2.1", "POST", URL, pair(name="a", public_key="ssh-rsa"), 400),
    ("demo", "2.1", "POST", URL, pair(name="a", public_key="x" * 20000), 400),
    ("demo", "2.1", "POST", URL, pair(name="a", public_key=SSH_KEY, colour="red"), 400),
    ("demo", "2.1", "POST", URL, pair(name="a", public_key=SSH_KEY, type="ssh"), 400),
    ("demo", "2.9", "POST", URL, pair(name="a", public_key=SSH_KEY, user_id="u-demo"), 400),
    ("demo", "2.10", "POST", URL, pair(name="a", public_key=SSH_KEY, user_id="u-other"), 403),
    ("demo", "2.2", "POST", URL, pair(name="a", public_key=SSH_KEY, type="pgp"), 400),
    ("demo", "2.2", "POST", URL, pair(name="a", public_key=SSH_KEY, type="x509"), 400),
    ("demo", "2.92", "POST", URL, pair(name="a"), 400),
    ("demo", "2.91", "POST", URL, pair(name="a@b.c", public_key=SSH_KEY), 400),
    ("demo", "2.92", "POST", URL, pair(name="a@b.c", public_key=SSH_KEY), 201),
    ("demo", "2.92", "POST", URL, pair(name="a@b.c", public_key=SSH_KEY), 409),
    ("demo", "2.1", "GET", URL + "/nothing", None, 404),
    ("demo", "2.1", "DELETE", URL + "/nothing", None, 404),
    ("other", "2.1", "GET", URL + "/a@b.c", None, 404),
    ("demo", "2.10", "GET", URL + "?user_id=u-other", None, 403),
    ("demo", "2.35", "GET", URL + "?marker=nothing", None, 400),
    ("demo", "2.35", "GET", URL + "?limit=x", None, 400),
    ("demo", "2.75", "GET", URL + "?colour=red", None, 400),
    ("demo", "2.1", "PUT", URL, {}, 405),
]


async def test_bad_input_is_refused(nova):
    assert await statuses(nova, BAD) == BAD
