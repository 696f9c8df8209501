"""Where the Redis servers are, as values, and the client of the redis library for each way to run them."""

import ssl
from dataclasses import dataclass, field
from typing import Any, assert_never

from redis.asyncio import Connection, ConnectionPool, Redis, RedisCluster, Sentinel, SSLConnection
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the servers are told; both None where they ask for nothing."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Host:
    """The name and port of one server."""

    name: str
    port: int


@dataclass(frozen=True, slots=True)
class Standalone:
    """One server. `tls` says which authorities are trusted for its certificate; None is plain TCP."""

    host: Host
    database: int = 0
    credentials: Credentials = Credentials()
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Servers of which Sentinels say who is the primary. The credentials are for the servers, not for the Sentinels."""

    hosts: tuple[Host, ...]
    service: str
    database: int = 0
    credentials: Credentials = Credentials()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Redis Cluster; the hosts are those to ask first for all others."""

    hosts: tuple[Host, ...]
    credentials: Credentials = Credentials()


Servers = Standalone | Sentinels | Cluster


@dataclass(frozen=True, slots=True)
class Client:
    """A client, and the one that asks the Sentinels for it, if there is one: both hold connections."""

    commands: Redis | RedisCluster
    sentinel: Sentinel | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        await self.commands.aclose()
        if self.sentinel is not None:
            await self.sentinel.aclose()


class _TlsConnection(SSLConnection):
    """Shares one context between all connections, and trusts no other authorities.

    The library's own makes a context for each connection, which takes some 30 ms of the event loop, and trusts the
    system's authorities beside those it is given.
    """

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = tls


def client_for(servers: Servers, connect_timeout: float, operation_timeout: float) -> Client:
    """A client that never repeats a command by itself: whether that is safe, only the store knows. Connects later."""
    options: dict[str, Any] = {
        "socket_connect_timeout": connect_timeout,
        "socket_timeout": operation_timeout,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }
    login: dict[str, Any] = {"username": servers.credentials.user, "password": servers.credentials.password}
    match servers:
        case Standalone(host, database, _, tls):
            kind = Connection if tls is None else _TlsConnection
            secure: dict[str, Any] = {} if tls is None else {"tls": tls}
            pool = ConnectionPool(kind, host=host.name, port=host.port, db=database, **login, **secure, **options)
            return Client(Redis.from_pool(pool))
        case Sentinels(hosts, service, database, _):
            sentinel = Sentinel([(host.name, host.port) for host in hosts], sentinel_kwargs=options)  # type: ignore[no-untyped-call]
            return Client(sentinel.master_for(service, db=database, **login, **options), sentinel)
        case Cluster(hosts, _):
            nodes = [ClusterNode(host.name, host.port) for host in hosts]
            return Client(RedisCluster(startup_nodes=nodes, **login, **options))
        case _:
            assert_never(servers)
