"""Every directory driver keeps the port's promises, and so do our own tables and the mirror, by the API."""

import asyncio

import pytest

from maldon.kernel.errors import Duplicate, NotFound
from maldon.ports.directory import FEATURES, DirectoryGroup, DirectoryUser
from tests.contract.directories import directory

KINDS = ["ldap", "keyvalue", "keyvalue in redis", "api over sql", "api over ldap", "api over keyvalue"]
NAMES = ["plain", "with space", "comma, plus+", "ünï ☃", "star*(paren)", "back\\slash", "#hash", "a=b;c<d>"]


@pytest.fixture(params=KINDS)
async def there(request, tmp_path):
    async with directory(request.param, request, tmp_path) as made:
        yield made


async def user(there, name="ann", password="pw", **more):
    return await there.add_user(DirectoryUser(name, name, **more), password)


async def group(there, name="staff", **more):
    return await there.add_group(DirectoryGroup(name, name, **more))


async def test_it_may_be_written(there):
    assert there.features == FEATURES


async def test_an_empty_directory_has_nobody(there):
    assert [await there.users(9), await there.groups(9), await there.memberships()] == [[], [], {}]
    assert [await there.user("x"), await there.user_named("x"), await there.group("x")] == [None, None, None]
    assert [await there.groups_of("x"), await there.members_of("x")] == [[], set()]
    assert not await there.authenticate("x", "pw")
    assert not await there.authenticate(None, "pw")


async def test_a_user_is_there_as_it_was_made(there):
    ann = await user(there, extra={"email": "ann@example.test", "description": "a"})
    assert (ann.name, ann.enabled, ann.extra) == ("ann", True, {"email": "ann@example.test", "description": "a"})
    bob = await user(there, "bob")
    assert await there.user(ann.id) == ann
    assert await there.user_named("bob") == bob
    assert sorted(await there.users(9), key=lambda u: u.name) == [ann, bob]
    assert len(await there.users(1)) == 1


@pytest.mark.parametrize("name", NAMES)
async def test_any_name_is_a_name(there, name):
    made, staff = await user(there, name), await group(there, name)
    await there.add_member(staff.id, made.id)
    assert await there.user(made.id) == made
    assert await there.members_of(staff.id) == {made.id}
    assert [one.id for one in await there.groups_of(made.id)] == [staff.id]
    assert await there.authenticate(made.id, "pw")
    await there.remove_user(made.id)
    assert await there.user(made.id) is None


async def test_only_the_password_is_the_password(there):
    ann, silent = await user(there, password="secret ☃"), await user(there, "silent", None)
    tried = ["secret ☃", "secret", "", "secret ☃ ", "*", "\x01"]
    assert [await there.authenticate(ann.id, password) for password in tried] == [True, *[False] * 5]
    assert not await there.authenticate(silent.id, "")
    assert not await there.authenticate(silent.id, "x")


async def test_a_user_changes(there):
    ann = await user(there, extra={"email": "a@example.test", "description": "a"})
    changed = DirectoryUser(ann.id, ann.name, extra={"email": "b@example.test"})
    await there.change_user(changed, None)
    assert await there.user(ann.id) == changed
    assert await there.authenticate(ann.id, "pw")
    await there.change_user(changed, "new")
    await there.change_user(changed, None)
    assert [await there.authenticate(ann.id, password) for password in ("pw", "new")] == [False, True]


async def test_a_user_is_enabled_and_disabled(there):
    ann, off = await user(there), await user(there, "off", enabled=False)
    assert not off.enabled
    for enabled in (False, False, True, True):
        await there.change_user(DirectoryUser(ann.id, ann.name, enabled), None)
        assert await there.user(ann.id) == DirectoryUser(ann.id, ann.name, enabled)
        assert {one.name: one.enabled for one in await there.users(9)} == {"ann": enabled, "off": False}


async def test_a_group_is_made_changed_and_removed(there):
    staff, other = await group(there, description="those who work"), await group(there, "other")
    assert (staff.name, staff.description) == ("staff", "those who work")
    assert await there.group(staff.id) == staff
    assert sorted(await there.groups(9), key=lambda g: g.name)[1] == staff
    changed = DirectoryGroup(staff.id, staff.name, "who rest")
    await there.change_group(changed)
    assert await there.group(staff.id) == changed
    await there.remove_group(staff.id)
    assert await there.group(staff.id) is None
    assert [one.id for one in await there.groups(9)] == [other.id]


async def test_users_join_and_leave_groups(there):
    ann, bob = await user(there), await user(there, "bob")
    staff, board = await group(there), await group(there, "board")
    for member in (ann, bob, ann):
        await there.add_member(staff.id, member.id)
    await there.add_member(board.id, ann.id)
    assert await there.members_of(staff.id) == {ann.id, bob.id}
    assert sorted(one.name for one in await there.groups_of(ann.id)) == ["board", "staff"]
    assert await there.memberships() == {staff.id: {ann.id, bob.id}, board.id: {ann.id}}
    await there.remove_member(staff.id, bob.id)
    await there.remove_member(board.id, ann.id)
    assert await there.memberships() == {staff.id: {ann.id}}
    with pytest.raises(NotFound):
        await there.remove_member(board.id, ann.id)


async def test_who_is_removed_is_in_no_group(there):
    ann, staff = await user(there), await group(there)
    await there.add_member(staff.id, ann.id)
    await there.remove_user(ann.id)
    assert [await there.user(ann.id), await there.members_of(staff.id), await there.memberships()] == [None, set(), {}]
    assert not await there.authenticate(ann.id, "pw")
    again = await user(there)
    assert await there.groups_of(again.id) == []


async def test_a_name_is_given_once(there):
    ann, staff = await user(there), await group(there)
    with pytest.raises(Duplicate):
        await user(there)
    with pytest.raises(Duplicate):
        await group(there)
    assert [await there.users(9), await there.groups(9)] == [[ann], [staff]]
    await there.remove_user(ann.id)
    await there.remove_group(staff.id)
    await user(there)
    await group(there)


async def test_many_want_one_name_at_once(there):
    got = await asyncio.gather(*(user(there, "ann") for _ in range(6)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in got) == ["DirectoryUser", *["Duplicate"] * 5], got
    assert len(await there.users(9)) == 1


async def test_what_is_not_there_is_not_found(there):
    ann, staff = await user(there), await group(there)
    calls = [
        there.change_user(DirectoryUser("none", "none"), None),
        there.remove_user("none"),
        there.change_group(DirectoryGroup("none", "none")),
        there.remove_group("none"),
        there.add_member("none", ann.id),
        there.add_member(staff.id, "none"),
        there.remove_member("none", ann.id),
        there.remove_member(staff.id, "none"),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            await call


async def test_members_come_and_go_at_once(there):
    staff = await group(there)
    people = [await user(there, f"u{n}") for n in range(8)]
    await asyncio.gather(*(there.add_member(staff.id, one.id) for one in people))
    assert await there.members_of(staff.id) == {one.id for one in people}
    await asyncio.gather(*(there.remove_member(staff.id, one.id) for one in people[:7]))
    assert await there.members_of(staff.id) == {people[7].id}
