"""Fixtures every test may ask for: a fresh database on a real server, a virtual host of a real RabbitMQ.

The servers start when a test first asks for them, once for all workers of a run; see tests/servers.py.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from maldon.runtime.log import set_up
from tests.servers import MariaDB, PostgreSQL, RabbitMQ, Redis, Server, Slapd, shared

settings.register_profile("maldon", deadline=None)  # a busy machine is no failure; the test's own timeout holds
settings.load_profile("maldon")
set_up("human", "warning")
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


@pytest.fixture(scope="session")
def run_server(tmp_path_factory: pytest.TempPathFactory):
    """The server of a kind that this run shares; it lives as long as the process that controls the run."""
    base = tmp_path_factory.getbasetemp()
    run: Path = base.parent if WORKER else base
    owner = os.getppid() if WORKER else os.getpid()

    def server(kind: type[Server]) -> Server:
        return shared(kind.kind, run, owner)

    return server


@pytest.fixture(scope="session")
def kept_url(run_server):
    """The URL of this worker's own database of a kind, kept from test to test: tests/tables.py empties it."""
    urls: dict[str, str] = {}

    def url(kind: str) -> str:
        if kind not in urls:
            urls[kind] = run_server({"postgresql": PostgreSQL, "mariadb": MariaDB}[kind]).create_database()
        return urls[kind]

    return url


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request, tmp_path) -> str:
    """The URL of a database of each kind; what is in it, `create_all` or the harness clears."""
    if request.param == "sqlite":
        return str(tmp_path / "cloud.db")
    return request.getfixturevalue("kept_url")(request.param)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def empty_database_url(request, tmp_path) -> str:
    """The URL of a database of each kind without a table."""
    if request.param == "sqlite":
        return str(tmp_path / "cloud.db")
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def postgresql_url(run_server) -> Iterator[str]:
    """The SQLAlchemy URL of an empty PostgreSQL database, dropped after the test."""
    yield from _database(run_server(PostgreSQL))


@pytest.fixture
def mariadb_url(run_server) -> Iterator[str]:
    """The SQLAlchemy URL of an empty MariaDB database, dropped after the test."""
    yield from _database(run_server(MariaDB))


@pytest.fixture
def amqp_url(run_server) -> str:
    """The URL of a RabbitMQ virtual host that no other worker uses."""
    return run_server(RabbitMQ).vhost_url(int(WORKER.removeprefix("gw") or 0))


@pytest.fixture
def redis_url(run_server) -> str:
    """The URL of a Redis database that no other worker uses; tests empty it, or take keys of their own."""
    return run_server(Redis).database_url(int(WORKER.removeprefix("gw") or 0))


@pytest.fixture
def ldap_server(run_server) -> Slapd:
    """An LDAP server, in which a test makes a subtree of its own (tests/ldap_tree.py)."""
    return run_server(Slapd)


def _database(server: PostgreSQL | MariaDB) -> Iterator[str]:
    url = server.create_database()
    try:
        yield url
    finally:
        server.drop_database(url)
