"""A store from its URL."""

import contextlib
import ssl
from typing import Final
from urllib.parse import unquote, urlsplit

from gateway.storage.memory_store import MemoryStore
from gateway.storage.redis_servers import Cluster, Credentials, Host, Sentinels, Servers, Standalone
from gateway.storage.redis_store import RedisStore
from gateway.storage.store import Store

_FORMS: Final = (
    "memory://, redis://[user:password@]host[:port][/database], rediss:// for the same over TLS, "
    "redis+sentinel://[user:password@]host[:port],.../service[/database] "
    "or redis+cluster://[user:password@]host[:port],..."
)
_REDIS_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379


class StoreUrlError(ValueError):
    """The URL names no store. The message never quotes a part of it, since any part may be a password gone astray."""


def open_store(url: str, *, ca_file: str | None = None, key_prefix: str = "smart-gateway:") -> Store:
    """The store that the URL names; it connects when it is first asked. Raises `StoreUrlError`.

    `ca_file` (PEM) holds the authorities to trust for rediss://; without it those of the system are trusted.
    """
    if url == "memory://":
        _need_no_ca_file(ca_file)
        return MemoryStore()
    return RedisStore(servers_of(url, ca_file), key_prefix=key_prefix)


def servers_of(url: str, ca_file: str | None = None) -> Servers:
    """The Redis servers that the URL names. Raises `StoreUrlError`."""
    scheme, authority, path = _split(url)
    login, _, hosts = authority.rpartition("@")
    credentials = _credentials(login)
    if scheme != "rediss":
        _need_no_ca_file(ca_file)
    match scheme, path:
        case (("redis" | "rediss"), ([] | [_])):
            tls = _trusting(ca_file) if scheme == "rediss" else None
            return Standalone(_host(hosts, _REDIS_PORT), _database(path), credentials, tls)
        case "redis+sentinel", [service, *database] if service and len(database) <= 1:
            return Sentinels(_hosts(hosts, _SENTINEL_PORT), unquote(service), _database(database), credentials)
        case "redis+sentinel", _:
            raise _refusal("needs the name of the service after the Sentinels, and perhaps a database after that")
        case "redis+cluster", []:
            return Cluster(_hosts(hosts, _REDIS_PORT), credentials)
        case "redis+cluster", _:
            raise _refusal("names a path, but a Cluster has one database only")
        case _:
            raise _refusal("is of another form")


def _split(url: str) -> tuple[str, str, list[str]]:
    """Scheme, authority and the parts of the path."""
    try:
        parts = urlsplit(url)
    except ValueError:  # its message quotes the authority, password and all
        parts = None
    if parts is None or "?" in url or "#" in url:
        raise _refusal("has a character that must be percent-encoded")
    return parts.scheme, parts.netloc, parts.path[1:].split("/") if parts.path not in {"", "/"} else []


def _credentials(login: str) -> Credentials:
    """Of `user:password`, `:password` or nothing."""
    if not login:
        return Credentials()
    user, colon, password = login.partition(":")
    if not colon or not password:
        raise _refusal("names a user without a password")
    return Credentials(unquote(user) or None, unquote(password))


def _hosts(text: str, default_port: int) -> tuple[Host, ...]:
    return tuple(_host(one, default_port) for one in text.split(","))


def _host(text: str, default_port: int) -> Host:
    with contextlib.suppress(ValueError):
        parts = urlsplit(f"//{text}")
        port = default_port if parts.port is None else parts.port
        if parts.hostname and "," not in text and "@" not in text and port:
            return Host(parts.hostname, port)
    raise _refusal("has a host or port that cannot be read")


def _database(path: list[str]) -> int:
    if not path:
        return 0
    if not (path[0].isascii() and path[0].isdigit() and len(path[0]) <= 4):
        raise _refusal("has a database that is not a number")
    return int(path[0])


def _need_no_ca_file(ca_file: str | None) -> None:
    if ca_file is not None:
        raise StoreUrlError("A file of trusted authorities is given, but only rediss:// speaks TLS to the store.")


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    """TLS that checks certificate and name, by these authorities alone or by those of the system."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError):
        raise StoreUrlError(f"The file of trusted authorities for the store, {ca_file}, cannot be read.") from None


def _refusal(why: str) -> StoreUrlError:
    return StoreUrlError(f"The URL of the store {why}. A store is {_FORMS}.")
