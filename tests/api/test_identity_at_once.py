"""Many ask at the same time, and the books are as if they had come one by one."""

import asyncio
from collections import Counter

import pytest

from tests.identity_cloud import identity_cloud


@pytest.fixture
async def keystone(database_url, tmp_path):
    async with identity_cloud(database_url, tmp_path) as made:
        yield made


async def at_once(keystone, *asked):
    """How often each status was answered to requests that begin together."""
    return Counter(answer.status for answer in await asyncio.gather(*(keystone(*one) for one in asked)))


async def held(keystone, user_id):
    """The roles that a user holds, each as often as it is listed."""
    listed = (await keystone("GET", f"/role_assignments?user.id={user_id}")).json["role_assignments"]
    return Counter(one["role"]["id"] for one in listed)


async def test_fifty_grants_and_revocations_at_once_leave_what_they_say(keystone):
    user_id, project_id = (await keystone.make("user", name="u"))["id"], await keystone.id_of("project", "demo")
    made = await asyncio.gather(*(keystone.make("role", name=f"r{n}") for n in range(25)))
    path = {role["id"]: f"/projects/{project_id}/users/{user_id}/roles/{role['id']}" for role in made}
    first, second = list(path)[:12], list(path)[12:]

    granted = await at_once(keystone, *(("PUT", path[id_]) for id_ in [*path, *path]))
    assert (granted, await held(keystone, user_id)) == ({204: 50}, Counter(list(path)))

    revoked = await at_once(keystone, *(("DELETE", path[id_]) for id_ in [*path, *path]))
    assert (revoked, await held(keystone, user_id)) == ({204: 25, 404: 25}, Counter())

    await at_once(keystone, *(("PUT", path[id_]) for id_ in first))
    mixed = [(method, path[id_]) for id_ in first for method in ("DELETE", "HEAD")]
    mixed += [(method, path[id_]) for id_ in second for method in ("PUT", "HEAD")]
    answers = await at_once(keystone, *mixed)
    assert set(answers) <= {204, 404}
    assert answers[204] >= len(path)
    assert await held(keystone, user_id) == Counter(second)


async def test_of_many_who_want_a_name_one_gets_it(keystone):
    for noun in ("user", "group", "project", "role", "domain"):
        answers = await at_once(keystone, *[("POST", f"/{noun}s", {noun: {"name": "wanted"}})] * 10)
        assert answers == {201: 1, 409: 9}, noun
        assert len((await keystone("GET", f"/{noun}s?name=wanted")).json[f"{noun}s"]) == 1


async def test_members_come_and_go_at_once(keystone):
    group = await keystone.make("group", name="g")
    users = await asyncio.gather(*(keystone.make("user", name=f"u{n}") for n in range(25)))
    path = [f"/groups/{group['id']}/users/{one['id']}" for one in users]
    assert await at_once(keystone, *(("PUT", one) for one in path * 2)) == {204: 50}
    assert len((await keystone("GET", f"/groups/{group['id']}/users")).json["users"]) == 25
    assert await at_once(keystone, *(("DELETE", one) for one in path * 2)) == {204: 25, 404: 25}


async def test_tags_put_at_once_are_all_there_once(keystone):
    project = await keystone.make("project", name="p")
    path = [f"/projects/{project['id']}/tags/t{n}" for n in range(20)]
    assert await at_once(keystone, *(("PUT", one) for one in path * 2)) == {201: 40}
    assert len((await keystone("GET", f"/projects/{project['id']}/tags")).json["tags"]) == 20
