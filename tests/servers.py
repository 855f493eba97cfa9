"""Real servers for tests: PostgreSQL, MariaDB, RabbitMQ, Redis, OpenLDAP, each in a directory and on a port of its own.

`with postgresql() as server:` is a server of one's own, which may be killed and started again. `shared(kind, …)` is one
server per test run for all workers of pytest-xdist: whoever comes first starts it under a supervisor, a process of its
own that stops the server and removes its directory when the owner (pytest's controlling process) is gone, however it
went. A server dies with its supervisor (PR_SET_PDEATHSIG), so nothing is left behind even if that one is killed.

Servers run as the user of their Debian package when we are root. They forget everything at the end, so nothing is
synced to disk.
"""

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Self

DEADLINE_S = 90
VHOSTS = 8


class Server:
    """One server process and what it needs. Subclasses say how to start it and how to tell that it answers."""

    kind: ClassVar[str]
    user: ClassVar[str]
    farewell: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, place: Path, port: int) -> None:
        self.place, self.port = place, port
        self.processes: list[subprocess.Popen[bytes]] = []

    def prepare(self) -> None:
        """Make what has to be there before the first start."""

    def launch(self) -> None:
        """Start the processes."""
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> Self:
        """Start, or start again on the same port with what it held before; returns once it answers."""
        self.launch()
        try:
            wait_until(self._up, f"{self.kind} to answer")
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self._log()[-2000:]}") from error
        return self

    def kill(self) -> None:
        """The machine's way: at once, with no farewell."""
        for process in reversed(self.processes):
            process.kill()
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def stop(self) -> None:
        """The quickest way that leaves no process behind."""
        for process in self.processes:
            process.send_signal(self.farewell)
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        self.kill()

    def _up(self) -> bool:
        if any(process.poll() is not None for process in self.processes):
            raise RuntimeError(f"{self.kind} ended: {self._log()[-2000:]}")
        return self.answers()

    def _log(self) -> str:
        return (self.place / "log").read_text(errors="replace")

    def _spawn(self, command: Sequence[str], **environment: str) -> None:
        with (self.place / "log").open("ab") as log:
            process = subprocess.Popen(
                [*self._as_user(), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.place,
                env={**_environment(self.place), **environment},
            )
        self.processes.append(process)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            [*self._as_user(), *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.place,
            env=_environment(self.place),
            timeout=DEADLINE_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-2000:]}")
        return done.stdout.decode()

    def _as_user(self) -> list[str]:
        dying = ["setpriv", "--pdeathsig", "KILL"]
        if os.geteuid() == 0:
            dying += ["--reuid", self.user, "--regid", self.user, "--init-groups"]
        return dying


class PostgreSQL(Server):
    kind, user = "postgresql", "postgres"
    farewell = signal.SIGQUIT  # at once, too, but it takes its children along
    settings: ClassVar = {
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "listen_addresses": "127.0.0.1",
        "max_connections": "400",
        "shared_buffers": "64MB",
    }

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}"

    def prepare(self) -> None:
        self._run(
            _postgres("initdb"),
            "-D",
            str(self.place / "data"),
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
        )

    def launch(self) -> None:
        options = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        places = ["-D", str(self.place / "data"), "-p", str(self.port), "-k", str(self.place)]
        self._spawn([_postgres("postgres"), *places, *options])

    def answers(self) -> bool:
        with contextlib.suppress(RuntimeError):
            return self.sql("SELECT 1").strip() == "1"
        return False

    def sql(self, statement: str) -> str:
        target = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", "postgres"]
        return self._run("psql", "-X", "-q", "-A", "-t", *target, "-c", statement)

    def create_database(self) -> str:
        """The SQLAlchemy URL of a new, empty database."""
        name = _fresh_name()
        self.sql(f"CREATE DATABASE {name}")
        return f"{self.url}/{name}"

    def drop_database(self, url: str) -> None:
        self.sql(f"DROP DATABASE IF EXISTS {_database_of(url)} WITH (FORCE)")


class MariaDB(Server):
    kind, user = "mariadb", "mysql"
    settings: ClassVar = (
        "--skip-name-resolve",
        "--bind-address=127.0.0.1",
        "--character-set-server=utf8mb4",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=0",
        "--innodb-buffer-pool-size=64M",
        "--innodb-log-file-size=16M",
        "--performance-schema=off",
        "--max-connections=400",
    )

    @property
    def url(self) -> str:
        return f"mysql+asyncmy://maldon:maldon@127.0.0.1:{self.port}"

    def prepare(self) -> None:
        self._run(
            "mariadb-install-db",
            "--no-defaults",
            *self._places(),
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        )
        user = "maldon@'%'"
        allow = [f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY 'maldon';", f"GRANT ALL ON *.* TO {user};"]
        (self.place / "init.sql").write_text("\n".join(allow) + "\n")  # one statement a line

    def launch(self) -> None:
        where = [f"--port={self.port}", f"--socket={self.place}/socket", f"--pid-file={self.place}/pid"]
        self._spawn(
            ["mariadbd", "--no-defaults", *self._places(), *where, f"--init-file={self.place}/init.sql", *self.settings]
        )

    def _places(self) -> list[str]:
        return [f"--datadir={self.place}/data", f"--tmpdir={self.place}"]

    def answers(self) -> bool:
        with contextlib.suppress(RuntimeError):
            return self.sql("SELECT 1").strip() == "1"
        return False

    def sql(self, statement: str) -> str:
        target = ["-h127.0.0.1", f"-P{self.port}", "-umaldon", "-pmaldon"]
        return self._run("mariadb", "--no-defaults", *target, "-BN", "-e", statement)

    def create_database(self) -> str:
        """The SQLAlchemy URL of a new, empty database."""
        name = _fresh_name()
        self.sql(f"CREATE DATABASE {name}")
        return f"{self.url}/{name}?charset=utf8mb4"

    def drop_database(self, url: str) -> None:
        self.sql(f"DROP DATABASE IF EXISTS {_database_of(url)}")


class RabbitMQ(Server):
    """The virtual hosts v0, v1, … are there from the start; one worker of a test run uses one."""

    kind, user = "rabbitmq", "rabbitmq"

    def __init__(self, place: Path, port: int) -> None:
        super().__init__(place, port)
        self._epmd_port, self._node_port = free_port(), free_port()

    @property
    def url(self) -> str:
        return self.vhost_url(0)

    def vhost_url(self, number: int) -> str:
        return f"amqp://maldon:maldon@127.0.0.1:{self.port}/v{number % VHOSTS}"

    def prepare(self) -> None:
        vhosts = [f"v{number}" for number in range(VHOSTS)]
        every = {"configure": ".*", "write": ".*", "read": ".*"}
        definitions = {
            "users": [{"name": "maldon", "password": "maldon", "tags": "administrator"}],
            "vhosts": [{"name": vhost} for vhost in vhosts],
            "permissions": [{"user": "maldon", "vhost": vhost, **every} for vhost in vhosts],
        }
        (self.place / "definitions.json").write_text(json.dumps(definitions))
        (self.place / "enabled_plugins").write_text("[].\n")
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            f"definitions.import_backend = local_filesystem\ndefinitions.local.path = {self.place}/definitions.json",
            "log.console = true\nlog.file = false\nlog.console.level = warning",
            "disk_free_limit.absolute = 1MB",
        ]
        (self.place / "rabbitmq.conf").write_text("\n".join(lines) + "\n")

    def launch(self) -> None:
        """Erlang's name server comes first and in the foreground; otherwise Erlang would leave a daemon behind."""
        port = str(self._epmd_port)
        self._spawn(["epmd", "-port", port, "-address", "127.0.0.1"])
        wait_until(lambda: _listens(self._epmd_port), "epmd to listen")
        self._spawn(
            ["/usr/lib/rabbitmq/bin/rabbitmq-server"],
            ERL_EPMD_PORT=port,
            ERL_EPMD_ADDRESS="127.0.0.1",
            RABBITMQ_ALLOW_INPUT="1",  # become the server instead of staying as a shell around it
            RABBITMQ_CONF_ENV_FILE=str(self.place / "none.conf"),
            RABBITMQ_CONFIG_FILE=str(self.place / "rabbitmq.conf"),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(self.place / "enabled_plugins"),
            RABBITMQ_MNESIA_BASE=str(self.place / "mnesia"),
            RABBITMQ_LOG_BASE=str(self.place),
            RABBITMQ_NODENAME=f"{self.place.name}@localhost",
            RABBITMQ_DIST_PORT=str(self._node_port),
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-noinput +sbwt none +sbwtdcpu none +sbwtdio none "
            "-kernel inet_dist_use_interface {127,0,0,1}",
        )

    def answers(self) -> bool:
        """It greets a client only when it is ready, not already when its port is open."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
            client.sendall(b"AMQP\0\0\x09\x01")
            return client.recv(1) == b"\x01"
        return False


class Redis(Server):
    """One database per worker of a test run; what it holds dies with it."""

    kind, user = "redis", "redis"

    @property
    def url(self) -> str:
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{number % 16}"

    def launch(self) -> None:
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.place)]
        self._spawn(["redis-server", *where, "--save", "", "--appendonly", "no"])

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
            client.sendall(b"PING\r\n")
            return client.recv(7) == b"+PONG\r\n"
        return False


class Slapd(Server):
    """OpenLDAP, with TLS on its port (StartTLS) and on another (`secure_url`). Tests make subtrees of their own."""

    kind, user = "slapd", "openldap"
    root = "dc=example,dc=test"
    admin, password = f"cn=admin,{root}", "admin secret"
    reader, reader_password = f"cn=reader,{root}", "reader secret"

    @property
    def url(self) -> str:
        return f"ldap://localhost:{self.port}"

    @property
    def secure_url(self) -> str:
        return (self.place / "secure").read_text()

    @property
    def ca_file(self) -> str:
        return str(self.place / "cert.pem")

    def prepare(self) -> None:
        (self.place / "data").mkdir()
        (self.place / "secure").write_text(f"ldaps://localhost:{free_port()}")
        self._make_certificate()
        schemas = "\n".join(
            f"include /etc/ldap/schema/{name}.schema" for name in ("core", "cosine", "inetorgperson", "nis")
        )
        (self.place / "slapd.conf").write_text(
            f"""{schemas}
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {self.ca_file}
TLSCertificateKeyFile {self.place}/key.pem
sizelimit size.soft=100 size.hard=100 size.pr=50 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by users read
database mdb
maxsize 67108864
suffix "{self.root}"
rootdn "{self.admin}"
rootpw "{self.password}"
directory {self.place}/data
dbnosync
database monitor
"""
        )
        (self.place / "root.ldif").write_text(
            f"dn: {self.root}\nobjectClass: dcObject\nobjectClass: organization\no: test\ndc: example\n\n"
            f"dn: {self.reader}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n"
            f"userPassword: {self.reader_password}\n"
        )
        if os.geteuid() == 0:
            for path in (self.place, *self.place.rglob("*")):
                shutil.chown(path, self.user, self.user)
        self._run("slapadd", "-f", str(self.place / "slapd.conf"), "-l", str(self.place / "root.ldif"))

    def launch(self) -> None:
        where = f"ldap://127.0.0.1:{self.port} {self.secure_url.replace('localhost', '127.0.0.1')}"
        self._spawn(["slapd", "-d", "0", "-f", str(self.place / "slapd.conf"), "-h", where])

    def answers(self) -> bool:
        with contextlib.suppress(RuntimeError):
            base = ["-H", f"ldap://127.0.0.1:{self.port}", "-D", self.reader, "-w", self.reader_password]
            return "dn:" in self._run("ldapsearch", "-x", "-LLL", *base, "-b", self.root, "-s", "base", "dn")
        return False

    def _make_certificate(self) -> None:
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        subject = ["-subj", "/CN=localhost", "-addext", names, "-days", "2"]
        keys = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        files = ["-keyout", str(self.place / "key.pem"), "-out", self.ca_file]
        self._run("openssl", "req", "-x509", *keys, *subject, *files)
        (self.place / "cert.pem").chmod(0o644)


SERVERS: dict[str, type[Server]] = {server.kind: server for server in (PostgreSQL, MariaDB, RabbitMQ, Redis, Slapd)}


def wait_until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition; it fails when the time is up."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {deadline_s} s for {what}")
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def held_port() -> socket.socket:
    """A port of 127.0.0.1 that is one's own until the socket is closed, for servers that share it (SO_REUSEPORT): this
    socket does not listen, so that nobody answers there while no server does.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    return held


@contextlib.contextmanager
def running(server_type: type[Server]) -> Iterator[Server]:
    """A server of one's own; afterwards it is gone with all it wrote."""
    place = Path(tempfile.mkdtemp(prefix=f"maldon-{server_type.kind}-"))
    server = server_type(place, free_port())
    try:
        if os.geteuid() == 0:
            shutil.chown(place, server_type.user, server_type.user)
        server.prepare()
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(place)


def postgresql() -> contextlib.AbstractContextManager[PostgreSQL]:
    return running(PostgreSQL)


def mariadb() -> contextlib.AbstractContextManager[MariaDB]:
    return running(MariaDB)


def rabbitmq() -> contextlib.AbstractContextManager[RabbitMQ]:
    return running(RabbitMQ)


def redis() -> contextlib.AbstractContextManager[Redis]:
    return running(Redis)


def slapd() -> contextlib.AbstractContextManager[Slapd]:
    return running(Slapd)


def shared(kind: str, run: Path, owner: int) -> Server:
    """The server of this test run, started if need be; `run` is a directory that all workers of the run share."""
    note = run / f"{kind}.json"
    with (run / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not note.exists():
            with (run / f"{kind}.log").open("wb") as log:
                command = [sys.executable, __file__, kind, str(note), str(owner)]
                subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True, timeout=DEADLINE_S
                )
            wait_until(note.exists, f"the supervisor of {kind}")
    said = json.loads(note.read_text())
    if "error" in said:
        raise RuntimeError(f"{kind} did not start: {said['error']}")
    return SERVERS[kind](Path(said["place"]), said["port"])


def supervise(kind: str, note: Path, owner: int) -> None:
    """Run a server until the owner is gone; the note says where it is, or why there is none."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        watch = os.pidfd_open(owner)
        with running(SERVERS[kind]) as server:
            _write(note, {"place": str(server.place), "port": server.port, "supervisor": os.getpid()})
            select.select([watch], [], [])
    except Exception as error:
        _write(note, {"error": str(error)})
        raise


def _write(note: Path, content: dict[str, str | int]) -> None:
    beside = note.with_suffix(".new")
    beside.write_text(json.dumps(content))
    beside.rename(note)


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _postgres(program: str) -> str:
    """Debian keeps the server's programs out of the PATH, one directory for each version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else program


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def _fresh_name() -> str:
    return f"maldon_{uuid.uuid4().hex[:16]}"


def _database_of(url: str) -> str:
    return url.rsplit("/", 1)[1].split("?", maxsplit=1)[0]


if __name__ == "__main__":
    # A grandchild of its own session: nobody's Ctrl-C reaches it, and nobody has to wait for it.
    if os.fork() == 0:
        os.setsid()
        supervise(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
