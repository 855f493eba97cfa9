"""The test servers leave nothing behind, whoever is killed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import servers

OWNER = """
import os, sys, pathlib, signal
from tests.servers import shared
for kind in sys.argv[2:]:
    shared(kind, pathlib.Path(sys.argv[1]), os.getpid())
print("ready", flush=True)
signal.pause()
"""


def living_in(place: Path) -> list[str]:
    """Processes whose working directory is below `place`, removed or not."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd().startswith(str(place)):
                found.append(f"{process.pid} {process.name()}")
    return found


@pytest.fixture
def owner(tmp_path):
    """A process that shares servers, and what became of each: {kind: note}."""
    started = []

    def start(*kinds: str):
        command = [sys.executable, "-c", OWNER, str(tmp_path), *kinds]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(servers.__file__).parents[1])
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process, {kind: json.loads((tmp_path / f"{kind}.json").read_text()) for kind in kinds}

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_servers_go_with_their_owner(owner):
    process, notes = owner(*servers.SERVERS)
    places = [Path(note["place"]) for note in notes.values()]
    assert all(living_in(place) for place in places)
    process.kill()
    servers.wait_until(lambda: not any(place.exists() or living_in(place) for place in places), "the servers to go")
    servers.wait_until(lambda: not any(map(is_alive, notes.values())), "the supervisors to go")


def is_alive(note: dict) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(note["supervisor"]).status() != psutil.STATUS_ZOMBIE
    return False


@pytest.mark.parametrize("kind", ["postgresql", "rabbitmq"])
def test_a_server_goes_with_its_supervisor(owner, kind):
    _, notes = owner(kind)
    place = Path(notes[kind]["place"])
    try:
        os.kill(notes[kind]["supervisor"], signal.SIGKILL)
        servers.wait_until(lambda: not living_in(place), "the server to go")
    finally:
        shutil.rmtree(place)


def test_a_server_that_does_not_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="mariadb did not start"):
        servers.shared("mariadb", tmp_path, os.getpid())


def test_every_test_gets_an_empty_database_of_its_own(postgresql_url, mariadb_url, run_server):
    for url, kind in ((postgresql_url, servers.PostgreSQL), (mariadb_url, servers.MariaDB)):
        server = run_server(kind)
        other = server.create_database()
        assert other.startswith(server.url)
        assert other != url
        server.drop_database(other)
        name = other.rsplit("/", 1)[1].split("?", 1)[0]
        listing = "SELECT datname FROM pg_database" if kind is servers.PostgreSQL else "SHOW DATABASES"
        names = server.sql(listing).split()
        assert name not in names
        assert url.rsplit("/", 1)[1].split("?", 1)[0] in names
