"""The addresses of the Redis servers, and the client of the redis library for each topology."""

import ssl
from dataclasses import dataclass, field
from typing import Any, assert_never

from redis.asyncio import Connection, ConnectionPool, Redis, RedisCluster, Sentinel, SSLConnection
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelManagedConnection
from redis.backoff import NoBackoff


@dataclass(frozen=True, slots=True)
class RedisCredentials:
    """User and password for the servers; both None if they need none."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Host:
    """The name and port of one server."""

    name: str
    port: int


# In each topology `tls` holds the authorities that are trusted for the certificates of all servers; None is plain TCP.


@dataclass(frozen=True, slots=True)
class Standalone:
    """One server."""

    host: Host
    database: int = 0
    credentials: RedisCredentials = RedisCredentials()
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Servers whose primary the Sentinels know. The credentials are for the servers, not for the Sentinels."""

    hosts: tuple[Host, ...]
    service: str
    database: int = 0
    credentials: RedisCredentials = RedisCredentials()
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Redis Cluster. The hosts are the startup nodes, which know all others."""

    hosts: tuple[Host, ...]
    credentials: RedisCredentials = RedisCredentials()
    tls: ssl.SSLContext | None = None


Servers = Standalone | Sentinels | Cluster


@dataclass(frozen=True, slots=True)
class RedisClient:
    """A client of the servers, and the client of the Sentinels if there are any. Both hold connections."""

    commands: Redis | RedisCluster
    sentinel: Sentinel | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        await self.commands.aclose()
        if self.sentinel is not None:
            await self.sentinel.aclose()


class _TlsConnection(SSLConnection):
    """A connection that uses the given TLS context.

    The library creates a context for each connection, which blocks the event loop for about 30 ms, and trusts the
    system's authorities in addition to those it is given.
    """

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = tls


class _TlsSentinelManagedConnection(SentinelManagedConnection, _TlsConnection):
    """Such a connection to the server that the Sentinels name."""


def create_client(servers: Servers, connect_timeout: float, operation_timeout: float) -> RedisClient:
    """A client that connects when it is first used. Timeouts are in seconds.

    It never retries a command by itself, because only the store knows whether that is safe.
    """
    options: dict[str, Any] = {
        "socket_connect_timeout": connect_timeout,
        "socket_timeout": operation_timeout,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }
    login: dict[str, Any] = {"username": servers.credentials.user, "password": servers.credentials.password}
    tls: dict[str, Any] = {} if servers.tls is None else {"tls": servers.tls}
    connection_class = _TlsConnection if tls else Connection
    match servers:
        case Standalone(host, database):
            pool = ConnectionPool(
                connection_class, host=host.name, port=host.port, db=database, **login, **tls, **options
            )
            return RedisClient(Redis.from_pool(pool))
        case Sentinels(hosts, service, database):
            sentinel = Sentinel([])  # type: ignore[no-untyped-call]
            sentinel.sentinels = [
                Redis.from_pool(ConnectionPool(connection_class, host=host.name, port=host.port, **tls, **options))
                for host in hosts
            ]
            managed_class = _TlsSentinelManagedConnection if tls else SentinelManagedConnection
            commands = sentinel.master_for(
                service, connection_class=managed_class, db=database, **login, **tls, **options
            )
            return RedisClient(commands, sentinel)
        case Cluster(hosts):
            nodes = [ClusterNode(host.name, host.port) for host in hosts]
            cluster = RedisCluster(startup_nodes=nodes, **login, **options)
            # Its own options for TLS would create a context for each connection. Nodes that it finds have these too.
            cluster.connection_kwargs.update({"connection_class": connection_class, **tls})
            for node in cluster.startup_nodes:
                node.connection_class = connection_class
                node.connection_kwargs.update(tls)
            return RedisClient(cluster)
        case _:
            assert_never(servers)
