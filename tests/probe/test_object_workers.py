"""Several processes serve one node's objects: the same port, the same disk, one truth; one of them may die."""

import concurrent.futures
import contextlib
import hashlib
import http.client
import os
import signal
import urllib.request
from urllib.parse import urlsplit

import psutil
import pytest

from tests.clouds import running_cloud, wait_for
from tests.servers import free_port


class Client:
    """Each request by a connection of its own, so that any of the processes may answer it."""

    def __init__(self, cloud):
        api = cloud.api()
        url = urlsplit(api.endpoint("object-store"))
        self.port, self.path, self.token = url.port, url.path, api.token

    def __call__(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            sent = {"X-Auth-Token": self.token, **{k.replace("_", "-"): v for k, v in headers.items()}}
            connection.request(method, f"{self.path}/{path}", body, {k: v for k, v in sent.items() if v})
            answer = connection.getresponse()
            return answer.status, answer.read()


def listeners(pid, port):
    """The processes of the cloud that listen on a port."""
    found = set()
    for process in (psutil.Process(pid), *psutil.Process(pid).children()):
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(c.laddr.port == port and c.status == "LISTEN" for c in process.net_connections()):
                found.add(process.pid)
    return found


@pytest.fixture
def served():
    port = free_port()
    with running_cloud(simulate=True, settings=f"[object]\nworkers = 3\nport = {port}\n") as cloud:
        wait_for("three listeners", lambda: len(listeners(cloud.pid, port)) == 3)
        client = Client(cloud)
        assert client.port == port
        yield cloud, client


def test_all_processes_see_the_same(served):
    cloud, client = served
    assert client("PUT", "c")[0] == 201
    bodies = {f"o{n:03}": os.urandom(4096 if n % 10 else 400_000) for n in range(100)}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda n: client("PUT", f"c/{n}", bodies[n])[0], bodies)) == {201}
        assert list(pool.map(lambda n: client("GET", f"c/{n}")[1], bodies)) == list(bodies.values())
    assert client("GET", "c")[1].decode().split() == sorted(bodies)
    for acl, status in ((".r:*", 200), ("", 401)) * 3:  # at once, whoever was told
        assert (
            client("POST", "c", X_Container_Read=acl or None, X_Remove_Container_Read="x" if not acl else None)[0]
            == 204
        )
        assert [client("GET", "c/o001", X_Auth_Token="")[0] for _ in range(6)] == [status] * 6

    victim = min(listeners(cloud.pid, client.port) - {cloud.pid})
    os.kill(victim, signal.SIGKILL)
    wait_for("another in its place", lambda: len(listeners(cloud.pid, client.port) - {victim}) == 3)
    for n in range(12):
        assert client("PUT", f"c/after{n}", b"x" * n)[0] == 201
    digests = {name: hashlib.md5(client("GET", f"c/{name}")[1]).digest() for name in bodies}
    assert digests == {name: hashlib.md5(body).digest() for name, body in bodies.items()}

    family = {p.pid for p in psutil.Process(cloud.pid).children()}
    cloud.kill()
    wait_for("no worker outlives its cloud", lambda: not any(psutil.pid_exists(pid) for pid in family))
    cloud.start()
    assert len(client("GET", "c")[1].split()) == 112


def test_the_first_process_shows_what_all_of_them_did(served):
    cloud, client = served
    assert client("PUT", "c")[0] == 201
    for n in range(60):
        assert client("PUT", f"c/o{n}", b"x" * 1000)[0] == 201

    def figures():
        with urllib.request.urlopen(f"http://127.0.0.1:{cloud.port}/metrics", timeout=10) as answer:
            lines = [line.rpartition(" ") for line in answer.read().decode().splitlines() if line[0] != "#"]
        return {name: float(value) for name, _, value in lines}

    put = 'maldon_http_requests_total{method="PUT",route="",service="object-store",status="201"}'
    records = 'maldon_object_group_records_sum{device="disk-1"}'
    wait_for("figures of all three", lambda: figures().get(put) == 61, 30)
    wait_for("the stock to be taken", lambda: figures().get('maldon_object_disk_objects{device="disk-1"}') == 60, 60)
    shown = figures()
    assert shown[records] == 60
    assert shown['maldon_object_written_bytes_total{device="disk-1",kind="small"}'] > 60_000
    assert shown['maldon_object_disk_ok{device="disk-1"}'] == 1
    assert shown['maldon_object_disk_free_bytes{device="disk-1"}'] > 0
    assert shown['maldon_object_loop_passes_total{loop="take stock"}'] >= 1
    victim = min(listeners(cloud.pid, client.port) - {cloud.pid})
    os.kill(victim, signal.SIGKILL)
    wait_for("another in its place", lambda: len(listeners(cloud.pid, client.port) - {victim}) == 3)
    assert figures()[put] == 61  # what it counted is not forgotten
    assert client("PUT", "c/last", b"x")[0] == 201
    wait_for("one more", lambda: figures()[put] == 62, 30)
