"""Connections to the servers of an LDAP directory: bound as the cloud's own account, kept, made again when they broke.

This is blocking code for worker threads, and all there is of it that speaks to a server. The servers are tried in their
order. Reading goes on over another connection when one breaks, as often as the options say; a write is sent once, over
a connection that was seen to be alive. What a server cannot be asked is Unavailable, its reason in the log only.
"""

import select
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException, LDAPInvalidFilterError, LDAPSASLPrepError

from maldon.drivers.directory.ldap_options import LdapOptions, words
from maldon.kernel.errors import BadRequest, CloudError, Duplicate, Forbidden, NotFound, Unavailable

T = TypeVar("T")
_WRONG_CREDENTIALS = frozenset({49, 53, 48, 19, 50, 32})  # whatever a server says of a bind it does not grant
_BAD_VALUES = frozenset({16, 17, 18, 19, 20, 21, 34, 64, 65, 66, 67, 69})
SUCCESS, SIZE_LIMIT, NO_SUCH_OBJECT, NO_SUCH_VALUE, VALUE_EXISTS, ENTRY_EXISTS = 0, 4, 32, 16, 20, 68


class _Tls(ldap3.Tls):  # type: ignore[misc]
    """TLS as Python does it by default: certificate and name are checked, unless the options say not to."""

    def __init__(self, options: LdapOptions) -> None:
        super().__init__()
        self._options = options

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        context = ssl.create_default_context(cafile=self._options.tls_cacertfile, capath=self._options.tls_cacertdir)
        if self._options.tls_req_cert != "demand":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = connection.socket
        try:
            connection.socket = context.wrap_socket(plain, server_hostname=connection.server.host)
        except BaseException:
            plain.close()
            raise


class Broken(Exception):
    """The connection broke, or could not be made."""


class Connections:
    """Those of one directory. `who` is put into sentences."""

    def __init__(self, options: LdapOptions, who: str) -> None:
        self._options, self._who = options, who
        self._idle: list[tuple[float, Any]] = []
        self._lock = threading.Lock()
        self._closed = False

    def read(self, ask: Callable[[Any], T]) -> T:
        """What `ask` finds over a connection."""
        for tried in range(self._options.pool_retry_max):
            if tried:
                time.sleep(self._options.pool_retry_delay)
            try:
                with self._bound() as connection:
                    return ask(connection)
            except Broken as error:
                last = error
        raise self._unavailable(last)

    def write(self, tell: Callable[[Any], T]) -> T:
        """What `tell` gives back; sent once."""
        try:
            with self._bound() as connection:
                return tell(connection)
        except Broken as error:
            raise self._unavailable(error) from error

    def accepts(self, dn: str, password: str) -> bool:
        """Whether the server lets this user in. An empty password would be nobody's, and welcome: it is refused."""
        if not password:
            return False
        try:
            connection = self._connected(dn, password)
        except Broken as error:
            raise self._unavailable(error) from error
        if connection is not None:
            _part(connection)
        return connection is not None

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, connection in idle:
            _part(connection)

    @contextmanager
    def _bound(self) -> Iterator[Any]:
        """A connection of our own account, kept afterwards unless it broke."""
        born, connection = self._taken() or (time.monotonic(), self._ours())
        good = False
        try:
            yield connection
            good = True
        except CloudError:
            good = True
            raise
        except LDAPInvalidFilterError as error:
            raise Unavailable(f"{self._who} is configured with a filter that is none.", internal=str(error)) from error
        except (LDAPException, OSError) as error:
            raise Broken(repr(error)) from error
        finally:
            if not (good and self._kept(born, connection)):
                _part(connection)

    def _taken(self) -> tuple[float, Any] | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                born, connection = self._idle.pop()
            if time.monotonic() - born < self._options.pool_connection_lifetime and _alive(connection):
                return born, connection
            _part(connection)

    def _kept(self, born: float, connection: Any) -> bool:
        with self._lock:
            room = self._options.use_pool and not self._closed and len(self._idle) < self._options.pool_size
            if room:
                self._idle.append((born, connection))
            return room

    def _ours(self) -> Any:
        connection = self._connected(self._options.user, self._options.password)
        if connection is None:
            raise Unavailable(
                f"{self._who} does not let the cloud's own account in. Its operator has to correct user and password."
            )
        return connection

    def _connected(self, user: str | None, password: str | None) -> Any:
        """A connection to the first server that answers; None when it refuses this user."""
        last = Broken("no server is configured")
        for url in words(self._options.url):
            connection = ldap3.Connection(
                _server(url, self._options),
                user=user or None,
                password=password if user else None,
                client_strategy=ldap3.SAFE_SYNC,
                receive_timeout=self._options.connection_timeout,
                auto_referrals=self._options.chase_referrals,
                check_names=False,
                raise_exceptions=False,
            )
            try:
                return self._let_in(connection)
            except LDAPSASLPrepError:  # no server takes such a password
                _part(connection)
                return None
            except (LDAPException, OSError) as error:
                _part(connection)
                last = Broken(repr(error))
        raise last

    def _let_in(self, connection: Any) -> Any:
        connection.open(read_server_info=False)
        if self._options.use_tls:
            connection.start_tls(read_server_info=False)
        done, result, _, _ = connection.bind(read_server_info=False)
        if done:
            return connection
        if result["result"] not in _WRONG_CREDENTIALS:
            raise OSError(f"bind: {result['description']} {result['message']}")
        _part(connection)
        return None

    def _unavailable(self, error: Broken) -> Unavailable:
        return Unavailable(
            f"{self._who} does not answer. Tokens issued before go on; try again in a while.", internal=str(error)
        )

    def check(self, result: Any, what: str) -> None:
        """Raise what the server's answer to a write means."""
        code = result["result"]
        told = f"{what}: {code} {result['description']} {result['message']}"
        if code == SUCCESS:
            return
        if code == ENTRY_EXISTS:
            raise Duplicate(f"Conflict occurred: {self._who} has such an entry already.", internal=told)
        if code == NO_SUCH_OBJECT:
            raise NotFound(f"{self._who} has no such entry.", internal=told)
        if code in _BAD_VALUES:
            raise BadRequest(f"{self._who} cannot keep that: {result['description']}.", internal=told)
        if code == 50:
            raise Forbidden(f"{self._who} does not let the cloud's own account change that.", internal=told)
        raise Unavailable(f"{self._who} has refused the change: {result['description']}.", internal=told)


def _server(url: str, options: LdapOptions) -> Any:
    """A server as the library has it: new every time, for it remembers for long that an address did not answer."""
    try:
        parts = urlsplit(url)
        secure = parts.scheme == "ldaps"
        port = parts.port or (636 if secure else 389)
    except ValueError as error:
        raise Broken(f"{url[:200]!r} is no address of a server: {error}") from error
    tls = _Tls(options) if secure or options.use_tls else None
    return ldap3.Server(
        parts.hostname or "localhost",
        port,
        use_ssl=secure,
        tls=tls,
        get_info=ldap3.NONE,
        connect_timeout=options.connection_timeout,
    )


def _alive(connection: Any) -> bool:
    """Nothing comes unasked but the news that the server has gone."""
    try:
        readable, _, _ = select.select([connection.socket], [], [], 0)
    except (OSError, ValueError, TypeError):
        return False
    return not readable


def _part(connection: Any) -> None:
    """Close it, whatever state it is in: a failed opening leaves a socket behind."""
    socket = connection.socket
    with suppress(LDAPException, OSError, AttributeError):
        connection.strategy.close()
    if socket is not None:
        socket.close()
