"""Builds the connections to the FHIR server from the settings. Nothing is connected yet."""

import ssl
import time
from typing import assert_never

from gateway.settings.serving.upstream import (
    Authentication,
    BasicAuthentication,
    BearerAuthentication,
    ClientCredentials,
    NoAuthentication,
    Pool,
    Upstream,
)
from gateway.upstream.authenticated_exchange import AuthenticatedExchange
from gateway.upstream.authentication import (
    UpstreamAuthentication,
    basic_authentication,
    bearer_authentication,
    no_authentication,
)
from gateway.upstream.client_credentials import ClientCredentialsAuthentication
from gateway.upstream.compressed_exchange import ACCEPT_GZIP, CompressedExchange
from gateway.upstream.connection_pool import ConnectionPool
from gateway.upstream.documents.control_client import ControlClient
from gateway.upstream.exchange_types import Exchange, Headers
from gateway.upstream.tls import tls_context


def build_authentication(settings: Authentication, control_client: ControlClient) -> UpstreamAuthentication:
    """How the gateway authenticates to the FHIR server. `control_client` fetches tokens where that needs any."""
    match settings:
        case NoAuthentication():
            return no_authentication()
        case BasicAuthentication(username=username, password=password):
            return basic_authentication(username, password.get_secret_value())
        case BearerAuthentication(token=token):
            return bearer_authentication(token.get_secret_value())
        case ClientCredentials():
            return ClientCredentialsAuthentication(settings, control_client, time.monotonic)
    assert_never(settings)


def build_connection_pool(
    settings: Upstream, authentication: UpstreamAuthentication, constant_headers: Headers
) -> ConnectionPool:
    """The pool of connections. Every request carries `constant_headers`, and the credentials if they never change."""
    pool = settings.pool
    if pool.compression == "gzip":
        others = (header for header in constant_headers if header[0] != b"accept-encoding")
        constant_headers = (*others, *ACCEPT_GZIP)
    headers = constant_headers + (authentication.static_headers or ())
    return _build_pool(settings.base_url, pool, headers, _build_ssl_context(settings))


def build_storage_pool(base_url: str, settings: Upstream, constant_headers: Headers) -> ConnectionPool:
    """The connections to a storage of export files, with the limits of those to the FHIR server, but no credentials."""
    return _build_pool(base_url, settings.pool, constant_headers, None)


def _build_pool(
    base_url: str, pool: Pool, constant_headers: Headers, ssl_context: ssl.SSLContext | None
) -> ConnectionPool:
    return ConnectionPool(
        base_url,
        connections=pool.connections,
        per_client=pool.share_of_one_client(),
        queue=pool.queue,
        connect_timeout=pool.connect_timeout_seconds,
        read_timeout=pool.read_timeout_seconds,
        total_timeout=pool.total_timeout_seconds,
        queue_timeout=pool.queue_timeout_seconds,
        idle_timeout=pool.idle_timeout_seconds,
        ssl_context=ssl_context,
        constant_headers=constant_headers,
    )


def build_exchange(settings: Upstream, pool: ConnectionPool, authentication: UpstreamAuthentication) -> Exchange:
    """The pool itself, or behind what adds changing credentials to each request, and decompresses responses."""
    exchange = pool if authentication.static_headers is not None else AuthenticatedExchange(pool, authentication)
    return CompressedExchange(exchange) if settings.pool.compression == "gzip" else exchange


def _build_ssl_context(settings: Upstream) -> ssl.SSLContext | None:
    """The TLS context with the configured certificate files; None for a plain http:// server."""
    if not settings.base_url.startswith("https://"):
        return None
    tls = settings.tls
    ca_file, certificate_file, key_file = (
        None if path is None else str(path) for path in (tls.ca_file, tls.client_certificate_file, tls.client_key_file)
    )
    return tls_context(ca_file=ca_file, certificate_file=certificate_file, key_file=key_file)
