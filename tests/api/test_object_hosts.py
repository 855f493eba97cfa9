"""Hosts of customers' own lead to containers by their CNAME records, which a real name server gives."""

import asyncio
import contextlib
from collections import Counter

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from maldon.kernel.settings import BadSetting
from maldon.objectstore.middleware.cname_lookup import CnameLookupSettings, Records
from maldon.objectstore.middleware.domain_remap import DomainRemapSettings
from tests.harness import DEMO
from tests.object_cloud import object_store

OURS = f"c.auth-{DEMO}.store.test"
ZONE = {
    "www.shop.test.": OURS + ".", "far.shop.test.": "www.shop.test.", "further.shop.test.": "far.shop.test.",
    "away.shop.test.": "elsewhere.test.", "circle.shop.test.": "circle.shop.test.", "apex.shop.test.": "store.test.",
    "almost.shop.test.": "badstore.test.", "UP.shop.test.".lower(): OURS.upper() + ".",
}  # fmt: skip


class NameServer(asyncio.DatagramProtocol):
    """Answers for ZONE by UDP, to silent.* not at all; `asked` counts questions by name."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text().lower()
        self.asked[name] += 1
        if name.startswith("silent."):
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if name in ZONE:
            answer.answer.append(dns.rrset.from_text(name, 30, "IN", "CNAME", ZONE[name]))
        elif not name.startswith("bare."):
            answer.set_rcode(3)
        self.transport.sendto(answer.to_wire(), addr)


@pytest.fixture
async def names():
    """A name server and its address."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        NameServer, local_addr=("127.0.0.1", 0)
    )
    server.address = "{}:{}".format(*transport.get_extra_info("sockname"))
    yield server
    transport.close()


@contextlib.asynccontextmanager
async def store_of(tmp_path, server, depth):
    look = CnameLookupSettings(("store.test",), depth, (server.address,), 0.3)
    remap = DomainRemapSettings(storage_domains=("store.test",))
    async with object_store(tmp_path, look, remap) as store:
        await store("PUT", "c")
        await store("PUT", "c/o", b"x")
        yield store


async def test_a_host_stands_for_what_it_leads_to(tmp_path, names):
    async with store_of(tmp_path, names, 2) as store:
        for host in ("www.shop.test", "WWW.shop.test:8080", "far.shop.test", "up.shop.test", OURS, OURS + ":80"):
            assert (await store.raw("GET", "/o", Host=host)).body == b"x", host
        where = f"/v1/{store.account}/c/o"
        for host in ("apex.shop.test", "store.test", "127.0.0.1:8080", "[::1]:8080", "[::1]", "127.0.0.1"):
            assert (await store.raw("GET", where, Host=host)).body == b"x", host
        assert (await store.raw("GET", "/info", Host="any.test")).json["cname_lookup"] == {"lookup_depth": 2}
        assert set(names.asked) == {f"{host}.shop.test." for host in ("www", "far", "up", "apex")}


async def test_what_leads_nowhere_is_refused(tmp_path, names):
    lost, deep = b"CNAME lookup failed to resolve to a valid domain", b"CNAME lookup failed after 2 tries"
    async with store_of(tmp_path, names, 2) as store:
        for host, said in (
            ("none.shop.test", lost), ("bare.shop.test", lost), ("away.shop.test", lost), ("circle.shop.test", lost),
            ("almost.shop.test", lost), ("silent.shop.test", lost), ("further.shop.test", deep), ("a..b", lost),
            ("x" * 64 + ".test", lost), ("x." * 200, lost), ("ü.test", lost), ("a b", lost), (".", lost), ("\\", lost),
        ):  # fmt: skip
            answer = await store.raw("GET", "/o", Host=host)
            assert (answer.status, answer.body, answer.headers["content-type"]) == (400, said, "text/plain"), host


async def test_records_are_remembered_as_long_as_they_say(names):
    now = [0.0]
    records = Records(CnameLookupSettings(nameservers=(names.address,), timeout_s=0.3), lambda: now[0])

    async def asked(name, at):
        now[0] = at
        await records.target(name)
        return names.asked[f"{name}."]

    assert [await asked("www.shop.test", at) for at in (0.0, 29.0, 31.0, 32.0)] == [1, 1, 2, 2]
    assert [await asked("none.shop.test", at) for at in (0.0, 59.0, 61.0)] == [1, 1, 2]


async def test_many_names_are_forgotten_again(names):
    records = Records(CnameLookupSettings(nameservers=(names.address,)), most=3)
    await asyncio.gather(*(records.target(f"n{n}.test") for n in range(10)))
    await records.target("n9.test")
    await records.target("n0.test")
    assert (names.asked["n9.test."], names.asked["n0.test."]) == (1, 2)


async def test_it_is_off_unless_a_domain_is_named(tmp_path):
    async with object_store(tmp_path) as store:
        await store("PUT", "c")
        assert (await store("GET", "c", Host="any.test")).status == 204
        assert not {"cname_lookup", "domain_remap"} & (await store.raw("GET", "/info")).json.keys()


@pytest.mark.parametrize("server", ["name.test", "1.2.3.4:x", "1.2.3", ""])
async def test_a_name_server_is_an_address(server):
    with pytest.raises(BadSetting, match="nameservers wants address"):
        Records(CnameLookupSettings(nameservers=(server,)))
