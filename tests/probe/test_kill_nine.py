"""Kill -9 of the whole cloud at twenty random moments, while ten servers are created and five of them deleted.

A round starts the cloud and kills it: some during its start, the others while requests are on their way and what was
asked for is under way. A request without an answer is looked up later and made again if it never arrived, as a careful
client does it. At the end every server is ACTIVE, or in ERROR with a reason, or gone; what was acknowledged holds; and
books, processes, wires and files agree. MALDON_TEST_SEED repeats a run.
"""

import contextlib
import os
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from maldon.drivers.hypervisor.names import GUEST
from maldon.ports.hypervisor import tap_name
from tests.clouds import MALDON, Api, RunningCloud, running_cloud, wait_for
from tests.guests import guests_running, namespaces, node, processes, server_body, taps

ROUNDS, SERVING, SERVERS, DELETED = 20, 14, 10, 5
SETTLED_S = 300  # ten guests boot side by side on two processors that others use as well


class Client:
    """Who asks for the servers. `asked` are the requests still to be acknowledged, in order."""

    def __init__(self, dice: random.Random) -> None:
        names = [f"s{n}" for n in range(SERVERS)]
        self.asked = [("create", name) for name in names]
        for name in dice.sample(names, DELETED):
            place = dice.randint(self.asked.index(("create", name)) + 1, len(self.asked))
            self.asked.insert(place, ("delete", name))
        self.created: dict[str, str] = {}
        self.deleted: set[str] = set()

    def work(self, cloud: RunningCloud, remaining: int) -> None:
        """Have requests acknowledged until so many remain, or the cloud is gone."""
        with contextlib.suppress(OSError, ValueError):  # a ValueError is an answer cut in the middle
            api = cloud.api()
            while len(self.asked) > remaining:
                self.ask(api, *self.asked[0])
                del self.asked[0]

    def ask(self, api: Api, verb: str, name: str) -> None:
        if verb == "delete":
            status, body = api("DELETE", f"/compute/v2.1/servers/{self.created[name]}")
            assert status in {204, 404}, body
            self.deleted.add(name)
        else:
            known = {server["name"]: server["id"] for server in api.servers()}
            self.created[name] = known[name] if name in known else api.create_server(server_body(api, name))


@contextlib.contextmanager
def doomed(cloud: RunningCloud) -> Iterator[None]:
    """The cloud runs, and is killed at the end."""
    options = ["--simulate", "--hosts", str(cloud.hosts)] if cloud.simulate else []
    command = [*MALDON, "up", "--home", str(cloud.home), "--port", str(cloud.port), *options]
    with (cloud.home / "maldon.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=cloud.environ(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def answers(cloud: RunningCloud) -> bool:
    with contextlib.suppress(OSError, ValueError, KeyError):
        return cloud.api()("GET", "/compute/v2.1/servers")[0] == 200
    return False


def kill_often(cloud: RunningCloud, dice: random.Random, longest_s: float) -> Client:
    """Twenty starts and deaths. Fourteen are served in; fifteen requests are spread over those."""
    client = Client(dice)
    begun = time.monotonic()
    serving = dice.sample(range(ROUNDS), SERVING)
    share = Counter(dice.choices(serving, k=len(client.asked)))
    remaining = len(client.asked)
    cloud.kill()
    starting_s = 2.0
    for n in range(ROUNDS):
        remaining -= share[n]
        begun = time.monotonic()
        with doomed(cloud):
            if n not in serving:
                time.sleep(dice.uniform(0, starting_s))
                continue
            wait_for("an answer", lambda: answers(cloud))
            starting_s = time.monotonic() - begun
            asking = threading.Thread(target=client.work, args=(cloud, remaining), name=f"round {n}")
            asking.start()
            time.sleep(dice.uniform(0, longest_s))
        asking.join()
    cloud.start()
    client.work(cloud, 0)
    assert client.asked == []
    return client


def check(cloud: RunningCloud, client: Client) -> list[str]:
    """Wait until nothing is under way; everything must agree then. The ids of the active servers."""
    api = cloud.api()
    wait_for("every server to come to rest", lambda: at_rest(api), SETTLED_S)
    servers = api.servers()
    assert sorted(server["name"] for server in servers) == sorted(client.created.keys() - client.deleted)
    assert {server["id"] for server in servers} <= set(client.created.values())
    for server in servers:
        assert server["status"] == "ACTIVE" or (server["status"] == "ERROR" and server["fault"]["message"]), server
    active = sorted(server["id"] for server in servers if server["status"] == "ACTIVE")
    print("came to rest:", Counter((server["status"], server.get("fault", {}).get("message")) for server in servers))
    wait_for("the doctor to be content", lambda: cloud.doctor() == "", 30)
    assert disks(cloud) == active
    if not cloud.simulate:
        assert guests_running(cloud) == active
        ports = [port for port in ports_of(api) if port["device_owner"].startswith("compute:")]
        assert sorted(port["device_id"] for port in ports) == active
        assert taps(cloud) == {tap_name(port["id"]) for port in ports}
        assert namespaces(cloud) == namespaces_wanted(cloud, api)
    return active


def at_rest(api: Api) -> bool:
    return all(
        server["OS-EXT-STS:task_state"] is None and server["status"] not in {"BUILD", "DELETED"}
        for server in api.servers()
    )


def disks(cloud: RunningCloud) -> list[str]:
    """The guests that have a file or a directory on some host."""
    found = [path.stem for path in cloud.home.glob("nodes/*/guests/*")]
    return sorted(name for name in found if GUEST.fullmatch(name))


def ports_of(api: Api) -> list[dict]:
    return api("GET", "/network/v2.0/ports")[1]["ports"]


def namespaces_wanted(cloud: RunningCloud, api: Api) -> set[str]:
    names = node(cloud)
    [router] = api("GET", "/network/v2.0/routers")[1]["routers"]
    served = {port["network_id"] for port in ports_of(api) if port["device_owner"].startswith("compute:")}
    return {names.namespace, names.router(router["id"]), *(names.dhcp(network) for network in served)}


def delete_all(cloud: RunningCloud, active: list[str]) -> None:
    api = cloud.api()
    for server in api.servers():
        assert api("DELETE", f"/compute/v2.1/servers/{server['id']}")[0] == 204
    wait_for("every server to go", lambda: api.servers() == [], 120)
    wait_for("the doctor to be content", lambda: cloud.doctor() == "", 30)
    assert active
    assert disks(cloud) == []
    assert [port for port in ports_of(api) if port["device_owner"].startswith("compute:")] == []
    if not cloud.simulate:
        assert (guests_running(cloud), taps(cloud)) == ([], set())
        assert list(processes(cloud)) == [cloud.pid]


@pytest.fixture
def dice() -> random.Random:
    seed = int(os.environ.get("MALDON_TEST_SEED") or random.randrange(2**32))
    print(f"MALDON_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.mark.timeout(300)
def test_a_simulated_cloud_killed_twenty_times(dice):
    with running_cloud(simulate=True, hosts=3) as cloud:
        delete_all(cloud, check(cloud, kill_often(cloud, dice, 0.5)))


@pytest.mark.root
@pytest.mark.guest
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("walk")
def test_a_cloud_with_real_guests_killed_twenty_times(dice):
    with running_cloud(simulate=False) as cloud:
        delete_all(cloud, check(cloud, kill_often(cloud, dice, 3.0)))
