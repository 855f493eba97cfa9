"""Token keys, sealed tokens, password hashes, and which role follows from which."""

import asyncio
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maldon.identity.keys import TokenKeys
from maldon.identity.passwords import Passwords
from maldon.identity.plan.effective import Effective, Held, closure, expand
from maldon.identity.settings import IdentitySettings
from maldon.identity.token import METHODS, Delegation, Scope, Token, new_audit_id, pack, unpack

ids = st.one_of(st.uuids().map(lambda u: u.hex), st.just("default"), st.text(max_size=64), st.text("0aF ", max_size=9))
scopes = st.builds(Scope, st.sampled_from(["unscoped", "project", "domain", "system"]), ids)
tokens = st.builds(
    Token,
    ids,
    st.sampled_from([("password",), ("token",), METHODS]),
    scopes,
    st.integers(0, 2**60),
    st.integers(0, 2**60),
    st.lists(st.builds(new_audit_id), min_size=1, max_size=2).map(tuple),
    st.none() | st.builds(Delegation, st.sampled_from(["trust", "application_credential", "oauth1"]), ids),
)


def seal(keys, token):
    return keys.seal(pack(token))


def unseal(keys, text):
    content = keys.open(text)
    return None if content is None else unpack(content)


TOKEN = Token("a" * 32, ("password",), Scope("project", "b" * 32), 1, 2, (new_audit_id(), new_audit_id()))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return TokenKeys(tmp_path_factory.mktemp("keys") / "fernet-keys")


@given(token=tokens)
def test_a_token_comes_out_as_it_went_in(keys, token):
    assert unseal(keys, seal(keys, token)) == token


def test_a_token_is_short(keys):
    assert len(seal(keys, TOKEN)) < 250


@given(noise=st.one_of(st.text(), st.binary().map(lambda b: b.decode("latin1")), st.text("gA-_0", min_size=90)))
def test_noise_opens_nothing(keys, noise):
    assert unseal(keys, noise) is None


def test_what_is_no_token_of_ours_opens_nothing(keys):
    for content in (b"", b"text", b"\x93\x01\x02\x03", b"\xff" * 50):
        assert unseal(keys, keys.seal(content)) is None
    sealed = seal(keys, TOKEN)
    for at in range(0, len(sealed), 7):
        assert unseal(keys, sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]) is None


def test_keys_are_for_their_owner_alone(tmp_path):
    TokenKeys(tmp_path / "k")
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o700
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "k").iterdir()} == {"0": 0o600, "1": 0o600}


def test_rotation_promotes_the_staged_key_and_keeps_a_few(tmp_path):
    keys = TokenKeys(tmp_path, active=3)
    other = TokenKeys(tmp_path, active=3)
    first = keys.seal(b"first")
    staged = (tmp_path / "0").read_bytes()
    keys.rotate()
    assert (tmp_path / "2").read_bytes() == staged
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0", "1", "2"]
    assert other.open(keys.seal(b"second")) == b"second"
    assert other.open(first) == b"first"
    keys.rotate()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0", "2", "3"]
    assert other.open(first) is None
    assert keys.open(other.seal(b"third")) == b"third"


def test_a_host_that_knows_the_staged_key_only_opens_what_the_next_primary_seals(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    keys = TokenKeys(one)
    two.mkdir()
    for path in one.iterdir():
        (two / path.name).write_bytes(path.read_bytes())
    keys.rotate()
    assert TokenKeys(two).open(keys.seal(b"x")) == b"x"


def test_processes_that_start_at_once_agree_on_the_keys(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, pathlib; from maldon.identity.keys import TokenKeys;"
        "print(TokenKeys(pathlib.Path(sys.argv[1])).seal(b'x'))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "k")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    sealed = [process.communicate(timeout=60)[0].strip() for process in running]
    keys = TokenKeys(tmp_path / "k")
    assert [keys.open(token) for token in sealed] == [b"x"] * 4
    assert not [path for path in (tmp_path / "k").iterdir() if not path.name.isdecimal()]


async def test_a_password_is_told_from_others():
    passwords = Passwords(IdentitySettings())
    stored = await passwords.hash("secret")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.check(stored, "secret") == (True, None)
    assert await passwords.check(stored, "Secret") == (False, None)
    assert await passwords.check(None, "secret") == (False, None)
    assert passwords.checks == 3


async def test_a_hash_is_renewed_when_the_parameters_change():
    stored = await Passwords(IdentitySettings(hash_memory_kib=64)).hash("secret")
    good, fresh = await Passwords(IdentitySettings(hash_memory_kib=128)).check(stored, "secret")
    assert good
    assert fresh.startswith("$argon2id$v=19$m=128,")


async def test_no_more_passwords_are_hashed_at_once_than_set():
    passwords = Passwords(IdentitySettings(hash_memory_kib=64, hashes_at_once=2))
    running, most = 0, 0
    inner = passwords._check

    def counted(*arguments):
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return inner(*arguments)
        finally:
            running -= 1

    passwords._check = counted
    await asyncio.gather(*(passwords.check(None, "x") for _ in range(10)))
    assert 1 <= most <= 2


def test_roles_are_expanded_to_the_end_even_in_circles():
    implied = {"a": ("b", "c"), "b": ("d",), "d": ("a",)}
    assert closure(["a"], implied) == {"a", "b", "c", "d"}
    assert closure(["c"], implied) == {"c"}
    assert closure([], implied) == set()


def test_assignments_come_out_once_each():
    by_group = Held("group", "g", "domain", "dom", "a", inherited=True)
    direct = Held("user", "u", "project", "p1", "b", inherited=False)
    found = expand([direct, by_group], {"g": ["u", "v"]}, {"dom": ["p1", "p2"]}, {"a": ["b"]})
    assert found == [
        Effective("u", "project", "p1", "b", direct),
        Effective("u", "project", "p1", "a", by_group),
        Effective("u", "project", "p2", "a", by_group),
        Effective("u", "project", "p2", "b", by_group),
        Effective("v", "project", "p1", "a", by_group),
        Effective("v", "project", "p1", "b", by_group),
        Effective("v", "project", "p2", "a", by_group),
        Effective("v", "project", "p2", "b", by_group),
    ]


def test_a_rotation_kills_no_token_that_has_its_time(tmp_path):
    keys = TokenKeys(tmp_path, active=3, keep_s=3600)
    running = TokenKeys(tmp_path, active=3, keep_s=3600)
    sealed = []
    for n in range(6):
        sealed.append(keys.seal(str(n).encode()))
        keys.rotate()
    assert [running.open(text) for text in sealed] == [str(n).encode() for n in range(6)]
    for path in tmp_path.iterdir():
        if int(path.name) <= 5:
            os.utime(path, (1, 1))
    keys.rotate()
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == [0, 5, 6, 7, 8]
    assert running.open(sealed[0]) is None
    assert running.open(sealed[5]) == b"5"
