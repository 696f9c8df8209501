"""Opens a store from its URL."""

import contextlib
import ssl
from typing import Final
from urllib.parse import unquote, urlsplit

from gateway.storage import store_keys
from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.redis_servers import Cluster, Host, RedisCredentials, Sentinels, Servers, Standalone
from gateway.storage.backends.redis_store import RedisStore
from gateway.storage.backends.store import Store

_FORMS: Final = (
    "memory://, redis://[user:password@]host[:port][/database], "
    "redis+sentinel://[user:password@]host[:port],.../service[/database] "
    "or redis+cluster://[user:password@]host[:port],...; with rediss in place of redis over TLS"
)
# The schemes over TLS, and what they are without it.
_PLAIN_SCHEMES: Final = {
    "rediss": "redis",
    "rediss+sentinel": "redis+sentinel",
    "rediss+cluster": "redis+cluster",
}
_REDIS_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
MEMORY_URL: Final = "memory://"


class StoreUrlError(ValueError):
    """The URL names no store. The message never quotes any part of it, because a misplaced password may be anywhere."""


def open_store(
    url: str,
    *,
    ca_file: str | None = None,
    key_prefix: str = store_keys.REDIS_PREFIX,
    replicas: int | None = None,
) -> Store:
    """The store that the URL names. It connects when it is first used. Raises `StoreUrlError`.

    `ca_file` (PEM) holds the authorities to trust for TLS. Without it, those of the system are trusted.
    A write counts once `replicas` replicas have it; by default one where a replica can become the primary.
    """
    if url == MEMORY_URL:
        _refuse_ca_file(ca_file)
        return MemoryStore()
    servers = parse_servers(url, ca_file)
    if replicas is None:
        replicas = 0 if isinstance(servers, Standalone) else 1
    return RedisStore(servers, key_prefix=key_prefix, replicas=replicas)


def parse_servers(url: str, ca_file: str | None = None) -> Servers:
    """The Redis servers that the URL names. Raises `StoreUrlError`."""
    scheme, authority, path = _split(url)
    login, _, hosts = authority.rpartition("@")
    credentials = _credentials(login)
    plain_scheme = _PLAIN_SCHEMES.get(scheme, scheme)
    tls = None
    if scheme in _PLAIN_SCHEMES:
        tls = _tls_context(ca_file)
    else:
        _refuse_ca_file(ca_file)
    match plain_scheme, path:
        case "redis", ([] | [_]):
            return Standalone(_host(hosts, _REDIS_PORT), _database(path), credentials, tls)
        case "redis+sentinel", [service, *database] if service and len(database) <= 1:
            return Sentinels(_hosts(hosts, _SENTINEL_PORT), unquote(service), _database(database), credentials, tls)
        case "redis+sentinel", _:
            raise _url_error("needs the name of the service after the Sentinels, and perhaps a database after that")
        case "redis+cluster", []:
            return Cluster(_hosts(hosts, _REDIS_PORT), credentials, tls)
        case "redis+cluster", _:
            raise _url_error("names a path, but a Cluster has one database only")
        case _:
            raise _url_error("is of another form")


def _split(url: str) -> tuple[str, str, list[str]]:
    """Scheme, authority and the parts of the path."""
    try:
        parts = urlsplit(url)
    except ValueError:  # the message of urlsplit quotes the authority, including the password
        parts = None
    if parts is None or "?" in url or "#" in url:
        raise _url_error("has a character that must be percent-encoded")
    return parts.scheme, parts.netloc, parts.path[1:].split("/") if parts.path not in {"", "/"} else []


def _credentials(login: str) -> RedisCredentials:
    """Parse `user:password`, `:password` or nothing."""
    if not login:
        return RedisCredentials()
    user, colon, password = login.partition(":")
    if not colon or not password:
        raise _url_error("names a user without a password")
    return RedisCredentials(unquote(user) or None, unquote(password))


def _hosts(text: str, default_port: int) -> tuple[Host, ...]:
    return tuple(_host(host, default_port) for host in text.split(","))


def _host(text: str, default_port: int) -> Host:
    with contextlib.suppress(ValueError):
        parts = urlsplit(f"//{text}")
        port = default_port if parts.port is None else parts.port
        if parts.hostname and "," not in text and "@" not in text and port:
            return Host(parts.hostname, port)
    raise _url_error("has a host or port that cannot be read")


def _database(path: list[str]) -> int:
    if not path:
        return 0
    if not (path[0].isascii() and path[0].isdigit() and len(path[0]) <= 4):
        raise _url_error("has a database that is not a number")
    return int(path[0])


def _refuse_ca_file(ca_file: str | None) -> None:
    if ca_file is not None:
        raise StoreUrlError(
            "A file of trusted authorities is given, but only a scheme that begins with rediss speaks TLS to the store."
        )


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    """TLS that verifies certificate and name, with only these authorities or those of the system."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError):
        raise StoreUrlError(f"The file of trusted authorities for the store, {ca_file}, cannot be read.") from None


def _url_error(problem: str) -> StoreUrlError:
    return StoreUrlError(f"The URL of the store {problem}. A store is {_FORMS}.")
