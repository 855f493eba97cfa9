"""Passwords under rules: lockout, age, history, form, first use, inactivity, and the hashes of other clouds."""

import asyncio
import dataclasses

import pytest
from sqlalchemy import select, update

from maldon.identity.models.user import failed_login, past_password, user
from maldon.identity.service import Passwords
from maldon.kernel.settings import BadSetting
from tests.identity_cloud import QUICK, identity_cloud

DAY = 86_400
THEIRS = "pässwörd of theirs"
PBKDF2 = (
    "$pbkdf2-sha512$1000$fa81BqA0pvTeW8v535uT8g$"
    "A0GKt7K8Qj82obsUgHvxiTOL7fEJESqvo5puik43Fv6dRVjN56DP/k7y4M7cWMBYajoUKyAv7M3C4bD1bra5qA"
)
REFUSED = "The request you have made requires authentication."


@pytest.fixture
def ruled(database_url, tmp_path):
    """An identity cloud under the rules given."""

    def cloud(**rules):
        return identity_cloud(database_url, tmp_path, dataclasses.replace(QUICK, **rules))

    return cloud


async def change(keystone, user_id, old, new):
    """A user's own change of the password, without a token: its status and message."""
    keystone.cloud.clock.advance(1)
    body = {"user": {"password": new, "original_password": old}}
    got = await keystone.as_("")("POST", f"/users/{user_id}/password", body)
    keystone.cloud.clock.advance(1)
    return got.status, got.json["error"]["message"] if got.body else ""


async def statuses(keystone, *passwords, name="u"):
    return [(await keystone.login(name, password)).status for password in passwords]


async def test_too_many_wrong_passwords_lock_a_user_out_for_a_while(ruled):
    async with ruled(lockout_attempts=3, lockout_s=60) as keystone:
        await keystone.make("user", name="u", password="pw")
        assert await statuses(keystone, "no", "no", "pw") == [401, 401, 201]
        assert await statuses(keystone, "no", "no", "no", "pw") == [401] * 4
        keystone.cloud.clock.advance(59)
        assert await statuses(keystone, "pw") == [401]
        keystone.cloud.clock.advance(2)
        assert await statuses(keystone, "no", "no", "pw") == [401, 401, 201]


async def test_a_lock_says_nothing_and_takes_as_long(ruled):
    async with ruled(lockout_attempts=1) as keystone:
        await keystone.make("user", name="locked", password="pw")
        for name in ("locked", "nobody"):
            await keystone.login(name, "no")
        passwords, seen = keystone.cloud.kit[Passwords], []
        for name, password in (("locked", "pw"), ("locked", "no"), ("nobody", "pw")):
            before, written = passwords.checks, keystone.cloud.db.statements
            got = await keystone.login(name, password)
            seen.append((got.status, got.json, passwords.checks - before, keystone.cloud.db.statements - written))
        assert seen == [seen[0]] * 3
        assert seen[0][:3] == (401, {"error": {"code": 401, "title": "Unauthorized", "message": REFUSED}}, 1)


async def test_guesses_made_at_once_gain_nothing(tmp_path):
    """On SQLite, where they are looked at in the order in which they come."""
    rules = dataclasses.replace(QUICK, lockout_attempts=3, hashes_at_once=1)
    async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path, rules) as keystone:
        await keystone.make("user", name="u", password="pw")
        wrong = [keystone.login("u", f"no {n}") for n in range(12)]
        got = await asyncio.gather(*wrong, keystone.login("u", "pw"))
        assert [answer.status for answer in got] == [401] * 13
        assert await statuses(keystone, "pw") == [401]


async def test_who_resets_a_password_or_enables_a_user_opens_the_lock(ruled):
    async with ruled(lockout_attempts=1) as keystone:
        made = await keystone.make("user", name="u", password="pw")
        for change_ in ({"password": "pw"}, {"enabled": True}):
            assert await statuses(keystone, "no", "pw") == [401, 401]
            keystone.cloud.clock.advance(1)
            assert (await keystone("PATCH", f"/users/{made['id']}", {"user": change_})).status == 200
            keystone.cloud.clock.advance(1)
            assert await statuses(keystone, "pw") == [201]


async def test_some_users_cannot_be_locked_out(ruled):
    async with ruled(lockout_attempts=1) as keystone:
        await keystone.make("user", name="u", password="pw", options={"ignore_lockout_failure_attempts": True})
        assert await statuses(keystone, "no", "pw") == [401, 201]
        assert await statuses(keystone, "no", "node secret", name="node") == [401, 201]


async def test_nothing_is_known_of_a_users_failures_once_it_is_gone(ruled):
    async with ruled(lockout_attempts=2, password_unique_last=3) as keystone:
        domain = await keystone.make("domain", name="d")
        one = await keystone.make("user", name="u", password="pw")
        two = await keystone.make("user", name="u", password="pw", domain_id=domain["id"])
        assert (await change(keystone, one["id"], "pw", "new"))[0] == 204
        await change(keystone, one["id"], "no", "x")
        await change(keystone, two["id"], "no", "x")
        await keystone("PATCH", f"/domains/{domain['id']}", {"domain": {"enabled": False}})
        assert (await keystone("DELETE", f"/domains/{domain['id']}")).status == 204
        assert (await keystone("DELETE", f"/users/{one['id']}")).status == 204
        async with keystone.cloud.db.read() as session:
            assert await session.all(select(failed_login)) == []
            assert await session.all(select(past_password)) == []


async def test_a_password_expires_and_is_changed_without_a_token(ruled):
    async with ruled(password_expires_days=2) as keystone:
        made = await keystone.make("user", name="u", password="pw")
        free = await keystone.make("user", name="f", password="pw", options={"ignore_password_expiry": True})
        assert (made["password_expires_at"], free["password_expires_at"]) == ("2023-11-16T22:13:21.000000", None)
        listed = {u["name"]: u["password_expires_at"] for u in (await keystone("GET", "/users")).json["users"]}
        assert (listed["u"], listed["f"]) == (made["password_expires_at"], None)
        shown = (await keystone.login("u", "pw")).json["token"]["user"]["password_expires_at"]
        assert shown == made["password_expires_at"]
        keystone.cloud.clock.advance(2 * DAY)
        got = await keystone.login("u", "pw")
        what = f"The password is expired and needs to be changed for user: {made['id']}."
        assert (got.status, got.json["error"]["message"]) == (401, what)
        assert (await keystone.login("u", "no")).json["error"]["message"] == REFUSED
        assert await change(keystone, made["id"], "pw", "new") == (204, "")
        assert await statuses(keystone, "new") == [201]
        assert await statuses(keystone, "pw", name="f") == [201]


async def test_a_password_that_somebody_else_set_is_changed_first(ruled):
    async with ruled(change_first_password=True, password_least_age_days=1) as keystone:
        made = await keystone.make("user", name="u", password="pw")
        waived = {"ignore_change_password_upon_first_use": True}
        await keystone.make("user", name="w", password="pw", options=waived)
        assert [*await statuses(keystone, "pw"), *await statuses(keystone, "pw", name="w")] == [401, 201]
        assert (await change(keystone, made["id"], "pw", "own"))[0] == 204
        assert await statuses(keystone, "own") == [201]
        status, why = await change(keystone, made["id"], "own", "next")
        assert (status, why.partition(" It")[0]) == (400, "The password has to be kept for 1 days.")
        keystone.cloud.clock.advance(DAY)
        assert (await change(keystone, made["id"], "own", "next"))[0] == 204


async def test_the_last_passwords_are_not_chosen_again(ruled):
    async with ruled(password_unique_last=3) as keystone:
        made = await keystone.make("user", name="u", password="a")
        wanted = "The new password cannot be identical to one of the last 3 passwords."
        assert await change(keystone, made["id"], "a", "b") == (204, "")
        assert await change(keystone, made["id"], "b", "a") == (400, wanted)
        assert await change(keystone, made["id"], "b", "c") == (204, "")
        assert await change(keystone, made["id"], "c", "a") == (400, wanted)
        assert await change(keystone, made["id"], "c", "b") == (400, wanted)
        assert await change(keystone, made["id"], "c", "d") == (204, "")
        assert await change(keystone, made["id"], "d", "a") == (204, "")
        async with keystone.cloud.db.read() as session:
            assert len(await session.all(select(past_password))) == 2
        assert (await keystone("PATCH", f"/users/{made['id']}", {"user": {"password": "c"}})).status == 200


async def test_a_new_password_has_the_form_that_is_asked(ruled):
    async with ruled(password_pattern=r"^(?=.*\d).{4,}$", password_words="four characters, one a digit") as keystone:
        wanted = "The password does not match the requirements: four characters, one a digit."
        got = await keystone("POST", "/users", {"user": {"name": "u", "password": "short"}})
        assert (got.status, got.json["error"]["message"]) == (400, wanted)
        made = await keystone.make("user", name="u", password="long1")
        assert (await keystone("PATCH", f"/users/{made['id']}", {"user": {"password": "weak"}})).status == 400
        assert await change(keystone, made["id"], "long1", "weak") == (400, wanted)
        assert await change(keystone, made["id"], "long1", "long2") == (204, "")


def test_rules_that_make_no_sense_stop_the_start():
    for rules in ({"password_pattern": "("}, {"limits": "deep"}):
        with pytest.raises(BadSetting, match=next(iter(rules))):
            dataclasses.replace(QUICK, **rules)


async def test_who_was_away_too_long_is_disabled_until_enabled(ruled):
    async with ruled(inactive_days=10) as keystone:
        made = await keystone.make("user", name="u", password="pw")
        await keystone.make("user", name="w", password="pw", options={"ignore_user_inactivity": True})
        for days, status in ((10, 201), (10, 201), (11, 401), (0, 401)):
            keystone.cloud.clock.advance(days * DAY)
            assert await statuses(keystone, "pw") == [status], days
        assert await statuses(keystone, "pw", name="w") == [201]
        admin = await keystone.logged_in("admin", "admin secret", {"system": {"all": True}})
        assert (await admin.show("user", made["id"]))["enabled"] is False
        await admin("PATCH", f"/users/{made['id']}", {"user": {"enabled": True}})
        keystone.cloud.clock.advance(1)
        assert await statuses(keystone, "pw") == [201]


async def test_users_are_found_by_when_their_passwords_end(ruled):
    async with ruled(password_expires_days=1) as keystone:
        group = await keystone.make("group", name="g")
        ends = {}
        for name in "abc":
            made = await keystone.make("user", name=name, password="pw")
            await keystone("PUT", f"/groups/{group['id']}/users/{made['id']}")
            ends[name] = made["password_expires_at"]
            keystone.cloud.clock.advance(60)
        for path in ("/users", f"/groups/{group['id']}/users"):
            for how, wanted in {
                "": "b", "eq:": "b", "neq:": "ac", "lt:": "a", "lte:": "ab", "gt:": "c", "gte:": "bc"
            }.items():  # fmt: skip
                got = await keystone("GET", f"{path}?password_expires_at={how}{ends['b'][:19]}Z")
                found = sorted(u["name"] for u in got.json["users"] if u["name"] in ends)
                assert "".join(found) == wanted, (path, how)
            for text in ("soon", "le:2020-01-01T00:00:00Z", "lt:", "gt:9999-99-99T00:00:00Z"):
                assert (await keystone("GET", f"{path}?password_expires_at={text}")).status == 400, text


@pytest.mark.parametrize(
    ("stored", "password"),
    [
        ("$2b$04$o.cQUuZRMpzx4uoVoWEvBuj6lim4eA.94BpL750IFudygbXp7QPTS", THEIRS),
        ("$2b$04$gEQjLigz5gfLtw9wOL6oTeXDfvQjN5VwPQBsu1s9nHQ8vnnEj/1u2", "x" * 100),
        ("$bcrypt-sha256$v=2,t=2b,r=4$vjO8a.Etmjk5xuBHjmGzze$8Q420lYP0iLN2l.BcVpGZh6j1RqIg6G", THEIRS),
        ("$bcrypt-sha256$2b,4$qcQPw2G.6WTRUBB./B6.je$IaKk9G7QZGUNDfio2Qlg.8qwWur8vSG", THEIRS),
        ("$scrypt$ln=4,r=8,p=1$vNc6ByBEyNlb6/1/L6VUSg$mpFr0+wff2tkQ4BCsd0JxbNkOCxuwlWFRLwgzUAlgnY", THEIRS),
        ("$scrypt$ln=16,r=8,p=1$Uar13htjTMn5///fe0+JkQ$9N58D7ma3ix2hh1XW7iZj1Aaq1Wg0C060b58ogKP9QY", THEIRS),
        (PBKDF2, THEIRS),
    ],
    ids=["bcrypt", "bcrypt-72", "bcrypt-sha256", "bcrypt-sha256-v1", "scrypt", "scrypt-16", "pbkdf2"],
)
async def test_hashes_of_another_cloud_are_accepted_and_made_anew(tmp_path, stored, password):
    async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path) as keystone:
        made = await keystone.make("user", name="u", password="pw")
        mine = user.c.id == made["id"]
        async with keystone.cloud.db.begin() as session:
            await session.run(update(user).where(mine).values(password=stored, password_at=None))
        assert await statuses(keystone, "pw", password, password) == [401, 201, 201]
        async with keystone.cloud.db.read() as session:
            kept = await session.scalar(select(user.c.password).where(mine))
        assert kept.startswith("$argon2id$")
        assert (await change(keystone, made["id"], password, "new"))[0] == 204


async def test_a_hash_that_cannot_be_read_tells_nobody_why(tmp_path):
    async with identity_cloud(str(tmp_path / "cloud.db"), tmp_path) as keystone:
        made = await keystone.make("user", name="u", password="pw")
        for stored in ("$6$salt$digest", "$scrypt$ln=4$a$b", "$2b$04$short", "$argon2id$broken"):
            async with keystone.cloud.db.begin() as session:
                await session.run(update(user).where(user.c.id == made["id"]).values(password=stored))
            got = await keystone.login("u", "pw")
            assert (got.status, got.json["error"]["message"]) == (401, REFUSED)
