"""Connecting to Postgres: each host in turn with a time of its own, and one plain reason if none can be used.

The driver has one time limit for a whole list of hosts, so that a silent first host hides the others. Here each host
has its own, as libpq has it (https://www.postgresql.org/docs/current/libpq-connect.html, read 2026-11-30).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import asyncpg

from rushes.errors import DatabaseUnavailable, StartupError

CONNECT_S: Final = 5.0
"""How long one host may take, unless the URL says `connect_timeout`."""
MOST_CONNECT_S: Final = 60.0

DRIVER_ERRORS = (OSError, EOFError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

UNSUPPORTED: Final = frozenset(
    {
        "channel_binding", "client_encoding", "fallback_application_name", "gssdelegation", "gssencmode", "hostaddr",
        "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts", "options",
        "passfile", "replication", "require_auth", "requirepeer", "scram_client_key", "scram_server_key", "service",
        "sslcertmode", "sslcompression", "sslcrldir", "sslsni", "tcp_user_timeout",
    }
)  # fmt: skip
"""Parameters that libpq knows and the driver does not: it would send them to the server as settings."""

POOLED: Final = (
    "RUSHES_DATABASE_URL leads through a pooler that gives each transaction another session (pgbouncer with "
    "pool_mode = transaction or statement); rushes needs sessions of its own, so set pool_mode = session or connect to "
    "Postgres itself"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the database is: a URL for each host, in the order of the list, and how long each may take."""

    urls: tuple[str, ...]
    connect_s: float

    @property
    def longest_s(self) -> float:
        """How long it can take until every host was tried."""
        return self.connect_s * len(self.urls) + 1

    @classmethod
    def parse(cls, url: str) -> Address:
        """The address that a URL as in libpq names. Raises StartupError; the URL is not shown, for its password."""
        try:
            parts = urlsplit(url)
            query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
            user, at, places = parts.netloc.rpartition("@")
            hosts = _hosts(places, query.pop("host", ""), query.pop("port", ""))
            for place in hosts:
                _check_port(place)
        except ValueError as exc:
            raise _wrong() from exc
        if parts.scheme not in ("postgresql", "postgres"):
            raise _wrong()
        named = sorted(query.keys() & UNSUPPORTED)
        if named:
            raise StartupError(
                f"database_url (RUSHES_DATABASE_URL) has the parameter '{named[0]}', which rushes does not support; "
                "leave it out"
            )
        connect_s = _connect_s(query.pop("connect_timeout", None))
        if len(hosts) > 1:
            # Of several servers only the primary can be written to; after a failover that is another one.
            query.setdefault("target_session_attrs", "read-write")
        return cls(tuple(_url(parts.scheme, user + at, place, parts.path, query) for place in hosts), connect_s)


class Connector:
    """Connects to one address. It begins with the host that worked last, so that a dead one costs its time once."""

    def __init__(self, url: str) -> None:
        self.address = Address.parse(url)
        self._first = 0

    async def connect(self, **given: Any) -> Any:
        """A connection; `given` goes to the driver. Raises DatabaseUnavailable with the reason of the last host."""
        urls = self.address.urls
        reasons: list[str] = []
        for step in range(len(urls)):
            number = (self._first + step) % len(urls)
            try:
                connection = await asyncpg.connect(urls[number], timeout=self.address.connect_s, **given)
            except DRIVER_ERRORS as exc:
                reasons.append(reason_of(exc, place_of(urls[number]), self.address.connect_s))
            except ValueError as exc:
                # Of the parameters: their texts may quote the URL.
                raise _wrong() from exc
            else:
                self._first = number
                return connection
        raise DatabaseUnavailable(f"{'; '.join(dict.fromkeys(reasons))}; nothing was changed", retry_after_s=1)


def place_of(url: str) -> str:
    """Which server and database, without user, password and options."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def reason_of(exc: BaseException, place: str, connect_s: float = CONNECT_S) -> str:
    """Why there is no connection. The driver's texts are not passed on: they may quote the address."""
    match exc:
        case asyncpg.exceptions.InvalidAuthorizationSpecificationError():
            return "the database refuses the user or password of RUSHES_DATABASE_URL"
        case asyncpg.exceptions.InvalidCatalogNameError():
            return "the database that RUSHES_DATABASE_URL names does not exist on its server"
        case asyncpg.exceptions.TooManyConnectionsError():
            return "the database has no connection left for us"
        case asyncpg.exceptions.CannotConnectNowError():
            return f"the database server at '{place}' is starting up or shutting down"
        case asyncpg.exceptions.TargetServerAttributeNotMatched():
            return f"the database server at '{place}' is a replica, or cannot be written to"
        case asyncpg.exceptions.UndefinedObjectError() | asyncpg.exceptions.ProtocolViolationError():
            return f"the server at '{place}' refuses a parameter of RUSHES_DATABASE_URL: {_first_line(exc)}"
        case ssl.SSLError():
            return f"the certificate of the database at '{place}' cannot be trusted"
        case socket.gaierror():
            return f"the name of the database's host in '{place}' cannot be resolved"
        case ConnectionRefusedError():
            return f"no database server listens at '{place}'"
        case TimeoutError():
            return f"the database server at '{place}' did not answer within {connect_s:g} s"
        case ConnectionError() if "SSL" in str(exc):
            return f"the database server at '{place}' does not offer TLS, which sslmode requires"
        case _:
            return f"the database at '{place}' cannot be reached ({type(exc).__name__})"


def is_pooled_away(exc: BaseException) -> bool:
    """Whether a prepared statement is missing, or is there already, because the session is another one."""
    found = asyncpg.exceptions.InvalidSQLStatementNameError | asyncpg.exceptions.DuplicatePreparedStatementError
    return isinstance(exc, found)


async def check_sessions(url: str) -> None:
    """Raise StartupError if a pooler shares one server session among several connections.

    Two connections are open at once. Postgres itself, or a pooler in session mode, gives each its own process.
    """
    connector = Connector(url)
    one = await connector.connect(statement_cache_size=0)
    try:
        other = await connector.connect(statement_cache_size=0)
        try:
            processes = {await _process_of(one), await _process_of(other)}
        finally:
            other.terminate()
    except DRIVER_ERRORS as exc:
        if is_pooled_away(exc):
            raise StartupError(POOLED) from exc
        raise DatabaseUnavailable(f"{reason_of(exc, place_of(url))}; nothing was changed", retry_after_s=1) from exc
    finally:
        one.terminate()
    if len(processes) == 1:
        raise StartupError(POOLED)


async def _process_of(connection: Any) -> int:
    process: int = await connection.fetchval("SELECT pg_backend_pid()")
    return process


def _hosts(places: str, hosts: str, ports: str) -> list[str]:
    """Each `host:port` that the URL names, in order; in its authority, or by the parameters `host` and `port`."""
    found = [place for place in places.split(",") if place]
    if not hosts:
        if not found:
            return [f":{ports}" if ports else ""]
        return found
    names = hosts.split(",")
    numbers = ports.split(",") if ports else [""]
    if len(numbers) not in (1, len(names)):
        raise ValueError("there must be one port, or one for each host")
    numbers = numbers * len(names) if len(numbers) == 1 else numbers
    return [f"{name}:{number}" if number else name for name, number in zip(names, numbers, strict=True)]


def _url(scheme: str, user: str, place: str, path: str, query: Mapping[str, str]) -> str:
    parameters = dict(query)
    if unquote(place).startswith("/"):
        # A folder of a Unix socket cannot stand in a URL's authority.
        folder, _, port = place.rpartition(":") if ":" in place else (place, "", "")
        parameters["host"] = unquote(folder)
        if port:
            parameters["port"] = port
        place = ""
    return urlunsplit((scheme, user + place, path, urlencode(parameters), ""))


def _check_port(place: str) -> None:
    """Raises ValueError for a port that is no number, so that it is found at start."""
    port = None if unquote(place).startswith("/") else urlsplit(f"//{place}").port
    if port == 0:
        raise ValueError("port 0 is no port")


def _connect_s(text: str | None) -> float:
    if text is None:
        return CONNECT_S
    if not text.isdecimal():
        raise StartupError(
            f"database_url (RUSHES_DATABASE_URL): connect_timeout must be whole seconds, not '{text[:20]}'"
        )
    # Libpq: 0 means no limit. A process that waits forever for a dead host is of no use to anyone.
    return min(MOST_CONNECT_S, float(text)) if int(text) else MOST_CONNECT_S


def _first_line(exc: BaseException) -> str:
    return (str(exc).splitlines() or [""])[0][:200]


def _wrong() -> StartupError:
    return StartupError("database_url (RUSHES_DATABASE_URL) must be like postgresql://user:password@host:5432/database")
