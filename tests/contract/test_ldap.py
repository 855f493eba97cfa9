"""What only LDAP has: trees, scopes, filters, attributes of all sorts, pages, TLS, servers that went away."""

import asyncio
import socket
import time

import pytest

from maldon.kernel.errors import BadRequest, Unavailable
from maldon.ports.directory import DirectoryUser
from tests.contract.directories import ldap
from tests.ldap_tree import Tree
from tests.servers import free_port, slapd


@pytest.fixture
def tree(ldap_server):
    return Tree(ldap_server)


@pytest.fixture
async def opened():
    """Makes directories that are closed in the end."""
    made = []

    def make(options):
        made.append(ldap(options))
        return made[-1]

    yield make
    for directory in made:
        await directory.close()


async def names(directory):
    return sorted(user.name for user in await directory.users(1000))


async def test_nothing_may_be_changed_unless_the_options_say_so(tree, opened):
    assert opened(tree.options()).features == frozenset()
    some = opened(tree.options(user_allow_update=True, group_allow_create="true"))
    assert some.features == {"update-users", "create-groups"}


async def test_a_tree_is_searched_as_deep_as_the_scope_says(tree, opened):
    tree.add(f"ou=Deep,ou=Users,{tree.base}", "organizationalUnit")
    tree.user("ann")
    tree.add(f"uid=deep,ou=Deep,ou=Users,{tree.base}", "inetOrgPerson", cn="deep", sn="x", userPassword="pw")
    assert await names(opened(tree.options())) == ["ann"]
    sub = opened(tree.options(query_scope="sub"))
    assert await names(sub) == ["ann", "deep"]
    assert await sub.authenticate("deep", "pw")
    assert await names(opened(tree.options(user_tree_dn=f"ou=Deep,ou=Users,{tree.base}"))) == ["deep"]


async def test_filters_and_classes_choose_who_is_there(tree, opened):
    tree.user("ann", employeeType="staff")
    tree.user("bob", employeeType="guest")
    tree.group("staff", ["ann", "bob"])
    for given in ("(employeeType=staff)", "employeeType=staff", "(&(employeeType=*)(!(uid=bob)))"):
        directory = opened(tree.options(user_filter=given))
        assert await names(directory) == ["ann"], given
        assert await directory.user_named("bob") is None
        assert not await directory.authenticate("bob", "pw")
        assert await directory.memberships() == {"staff": {"ann"}}
    assert await names(opened(tree.options(user_objectclass="posixAccount"))) == []
    assert await opened(tree.options(group_filter="(cn=board)")).groups(9) == []


async def test_what_a_client_sends_is_never_part_of_a_filter(tree, opened):
    tree.user("ann")
    directory = opened(tree.options())
    for name in ("*", "a*", "ann)(uid=*", "\\2a", "ann\x00", "(", ")"):
        assert [await directory.user(name), await directory.user_named(name)] == [None, None], name
        assert not await directory.authenticate(name, "pw")


async def test_attributes_are_mapped(tree, opened):
    tree.user("ann", "Ann", mail="a@example.test", title="Dr", telephoneNumber="1", departmentNumber="p1")
    options = {
        "user_name_attribute": "uid",
        "user_id_attribute": "CN",
        "user_mail_attribute": "title",
        "user_description_attribute": "telephoneNumber",
        "user_additional_attribute_mapping": ["mail:address", "noSuch:nothing"],
        "user_default_project_id_attribute": "departmentNumber",
        "user_attribute_ignore": "enabled",
    }
    extra = {"email": "Dr", "description": "1", "address": "a@example.test"}
    assert await opened(tree.options(**options)).users(9) == [DirectoryUser("Ann", "ann", True, "p1", extra)]
    less = await opened(tree.options(**options | {"user_attribute_ignore": "enabled,email,default_project_id"})).users(
        9
    )
    assert less == [DirectoryUser("Ann", "ann", True, None, {"description": "1", "address": "a@example.test"})]


@pytest.mark.parametrize(
    ("options", "values", "enabled"),
    [
        ({}, ["TRUE", "false", None], [True, False, True]),
        ({"user_enabled_invert": True, "user_enabled_default": "False"}, ["TRUE", "FALSE", None], [False, True, True]),
        ({"user_enabled_mask": 2, "user_enabled_default": "512"}, ["512", "514", None], [True, False, True]),
    ],
)
async def test_an_attribute_says_who_is_enabled(tree, opened, options, values, enabled):
    for n, value in enumerate(values):
        tree.user(f"u{n}", employeeNumber=value) if value else tree.user(f"u{n}")
    base = {"user_attribute_ignore": "", "user_enabled_attribute": "employeeNumber"}
    directory = opened(tree.writable(**base | options))
    assert [one.enabled for one in sorted(await directory.users(9), key=lambda u: u.id)] == enabled
    for n, was in enumerate(enabled):
        await directory.change_user(DirectoryUser(f"u{n}", f"u{n}", not was), None)
        assert (await directory.user(f"u{n}")).enabled is not was


async def test_bits_beside_the_one_that_matters_are_left_alone(tree, opened):
    tree.user("ann", employeeNumber="66048")
    options = {"user_enabled_mask": 2, "user_enabled_attribute": "employeeNumber", "user_attribute_ignore": ""}
    directory = opened(tree.writable(**options))
    raw = opened(tree.options(user_description_attribute="employeeNumber"))
    for enabled, value in ((False, "66050"), (True, "66048")):
        await directory.change_user(DirectoryUser("ann", "ann", enabled), None)
        assert (await raw.user("ann")).extra["description"] == value


async def test_groups_may_name_their_members_by_uid(tree, opened):
    tree.user("ann")
    tree.user("bob")
    tree.add(f"cn=wheel,ou=UserGroups,{tree.base}", "posixGroup", gidNumber="1", memberUid=["ann", "gone"])
    posix = {"group_objectclass": "posixGroup", "group_member_attribute": "memberUid", "group_members_are_ids": True}
    directory = opened(tree.writable(**posix))
    assert await directory.memberships() == {"wheel": {"ann", "gone"}}
    assert [one.name for one in await directory.groups_of("ann")] == ["wheel"]
    await directory.add_member("wheel", "bob")
    await directory.remove_member("wheel", "ann")
    assert await directory.members_of("wheel") == {"bob", "gone"}


async def test_long_lists_come_in_pages(tree, opened):
    for n in range(120):  # the server gives 100 at once and no more
        tree.user(f"u{n:03}")
    tree.group("all", [f"u{n:03}" for n in range(120)])
    paged = opened(tree.options(page_size=50))
    assert len(await paged.users(1000)) == 120
    assert len(await paged.users(70)) == 70
    assert len((await paged.memberships())["all"]) == 120
    assert len(await opened(tree.options()).users(1000)) == 100


async def test_transport_is_encrypted_and_the_server_s_name_is_checked(tree, opened, ldap_server):
    tree.user("ann")
    here, ca = ldap_server.url, {"tls_cacertfile": ldap_server.ca_file}
    for options in (
        {"use_tls": True, **ca},
        {"url": ldap_server.secure_url, **ca},
        {"use_tls": True, "tls_req_cert": "never"},
        {"url": ldap_server.secure_url, "tls_req_cert": "allow"},
        {"url": ldap_server.secure_url.replace("localhost", "127.0.0.1"), **ca},
    ):
        directory = opened(tree.options(**options))
        assert [await names(directory), await directory.authenticate("ann", "pw")] == [["ann"], True], options
    for options in (
        {"use_tls": True},
        {"url": ldap_server.secure_url},
        {"use_tls": True, "url": here.replace("localhost", "127.0.0.2"), **ca},
        {"use_tls": True, "tls_cacertfile": "/none.pem"},
    ):
        with pytest.raises(Unavailable, match="does not answer"):
            await opened(tree.options(**options)).users(9)


async def test_the_first_server_that_answers_is_asked(tree, opened, ldap_server):
    tree.user("ann")
    nobody = f"ldap://127.0.0.1:{free_port()}"
    assert await names(opened(tree.options(url=f"{nobody}, {ldap_server.url}"))) == ["ann"]


@pytest.mark.parametrize(
    "url", ["ldap://", "nonsense", "http://[", "ldap://localhost:99999", "ldap://no.such.host.test", ","]
)
async def test_an_address_that_is_none_is_a_directory_that_does_not_answer(tree, opened, url):
    with pytest.raises(Unavailable):
        await opened(tree.options(url=url, connection_timeout=1, pool_retry_max=1)).users(9)


async def test_what_the_operator_has_to_correct_is_said(tree, opened):
    for options, said in (
        ({"password": "wrong"}, "own account"),
        ({"user": None, "password": None}, "as it is configured"),
        ({"user_tree_dn": "ou=None,dc=example,dc=test"}, "as it is configured"),
        ({"user_filter": "(("}, "filter"),
    ):
        with pytest.raises(Unavailable, match=said) as raised:
            await opened(tree.options(**options)).users(9)
        assert "wrong" not in raised.value.public + raised.value.internal


async def test_what_the_server_cannot_keep_is_refused(tree, opened):
    directory = opened(tree.writable(user_mail_attribute="noSuchAttribute"))
    with pytest.raises(BadRequest, match="cannot keep"):
        await directory.add_user(DirectoryUser("a", "a", extra={"email": "x"}), None)
    for extra, word in (({"rank": "x"}, "no place"), ({"description": ["x"]}, "texts only")):
        with pytest.raises(BadRequest, match=word):
            await directory.add_user(DirectoryUser("a", "a", extra=extra), None)
    with pytest.raises(BadRequest, match="default_project_id"):
        await directory.add_user(DirectoryUser("a", "a", default_project_id="p"), None)
    assert await directory.users(9) == []


async def test_a_password_takes_as_long_whether_there_is_the_user(tree, opened):
    tree.user("ann")
    directory = opened(tree.options())
    spent = {"ann": [], None: []}
    for _ in range(15):
        for who, times in spent.items():
            begun = time.perf_counter()
            assert not await directory.authenticate(who, "wrong")
            times.append(time.perf_counter() - begun)
    one, other = (min(times) for times in spent.values())
    assert 1 / 3 < one / other < 3, spent


async def test_connections_are_kept_and_made_again_when_the_server_was_away(opened):
    """One walk, because a server of one's own takes a while to start."""
    with slapd() as server:
        tree = Tree(server)
        tree.user("ann")
        directory = opened(tree.options(connection_timeout=2, pool_retry_delay=0, pool_size=3))
        await asyncio.gather(*(directory.users(9) for _ in range(12)))
        kept = len(directory._connections._idle)
        assert 1 <= kept <= 3
        await directory.users(9)
        assert len(directory._connections._idle) == kept
        await asyncio.to_thread(server.kill)
        for call in (directory.users(9), directory.authenticate("ann", "pw"), directory.groups_of("ann")):
            with pytest.raises(Unavailable, match="does not answer"):
                await call
        await asyncio.to_thread(server.start)
        assert await names(directory) == ["ann"]
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)  # the kept connections are dead, and nobody notices
        assert await names(directory) == ["ann"]
        writer = opened(tree.writable(connection_timeout=2))
        assert await writer.users(9)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await writer.change_user(DirectoryUser("ann", "Ann"), None)
        assert await names(directory) == ["Ann"]


async def test_nobody_waits_long_for_a_server_that_never_answers(tree, opened):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ldap://127.0.0.1:{silent.getsockname()[1]}"
        options = {"url": url, "connection_timeout": 1, "pool_retry_max": 1}
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable):
                await opened(tree.options(**options)).users(9)
