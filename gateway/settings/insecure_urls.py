"""URLs of plain http that tokens or secrets would be sent to. An invalid section has only its valid settings here."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from gateway.settings.section import Conflict, SettingPath
from gateway.settings.serving.upstream import ClientCredentials
from gateway.settings.setting_types import is_loopback

if TYPE_CHECKING:
    from gateway.settings.model import Settings

_Urls = Iterator[tuple[SettingPath, str | None]]


def _public_url(settings: "Settings") -> _Urls:
    yield ("public_base_url",), settings.public_base_url


def _app_state_url(settings: "Settings") -> _Urls:
    if settings.app_state is not None:
        yield ("app_state", "base_url"), settings.app_state.base_url


def _upstream_token_endpoint(settings: "Settings") -> _Urls:
    authentication = settings.upstream.authentication
    if isinstance(authentication, ClientCredentials):
        yield ("upstream", "authentication", "token_endpoint"), authentication.token_endpoint


def _audit_token_endpoint(settings: "Settings") -> _Urls:
    server = settings.audit.events.server if settings.audit.events is not None else None
    authentication = server.authentication if server is not None else None
    if isinstance(authentication, ClientCredentials):
        yield ("audit", "events", "server", "authentication", "token_endpoint"), authentication.token_endpoint


def _admin_url(settings: "Settings") -> _Urls:
    yield ("admin", "base_url"), settings.admin.base_url


def _storage_urls(settings: "Settings") -> _Urls:
    """What is fetched from there is verified, but the URLs themselves are all that is needed to read it."""
    for index, base in enumerate(settings.bulk_export.file_bases):
        yield ("bulk_export", "file_bases", index), base


def _issuer_urls(settings: "Settings") -> _Urls:
    for index, issuer in enumerate(settings.issuers):
        yield ("issuers", index, "jwks_url"), getattr(issuer, "jwks_url", None)
        introspection = getattr(issuer, "introspection", None)
        yield ("issuers", index, "introspection", "endpoint"), getattr(introspection, "endpoint", None)


def _smart_server_url(settings: "Settings") -> _Urls:
    if settings.smart_server is not None:
        yield ("smart_server", "issuer"), settings.smart_server.issuer


def _provider_urls(settings: "Settings") -> _Urls:
    if settings.smart_server is not None:
        for index, provider in enumerate(settings.smart_server.identity_providers):
            yield ("smart_server", "identity_providers", index, "issuer"), getattr(provider, "issuer", None)


def _client_urls(settings: "Settings") -> _Urls:
    if settings.smart_server is not None:
        for index, client in enumerate(settings.smart_server.clients):
            yield ("smart_server", "clients", index, "jwks_uri"), getattr(client, "jwks_uri", None)


def _authorization_server_urls(settings: "Settings") -> _Urls:
    server = settings.authorization_server
    if server is not None:
        for name in type(server).model_fields:
            value = getattr(server, name, None)
            yield ("authorization_server", name), value if isinstance(value, str) else None


def _insecure_urls(find_urls: Callable[["Settings"], _Urls], settings: "Settings") -> Iterator[Conflict]:
    """URLs of plain http that tokens or secrets are sent to (authorization.md, fixed choice 12)."""
    for path, url in find_urls(settings):
        if url is None or url.startswith("https://"):
            continue
        if not settings.development:
            yield Conflict(path, "must start with https:// (http:// is for loopback under development: true)")
        elif not is_loopback(url):
            yield Conflict(path, "must start with https://, or name a loopback host such as localhost")


INSECURE_URL_RULES: tuple[Callable[["Settings"], Iterator[Conflict]], ...] = tuple(
    partial(_insecure_urls, find_urls)
    for find_urls in (
        _public_url,
        _app_state_url,
        _admin_url,
        _upstream_token_endpoint,
        _audit_token_endpoint,
        _storage_urls,
        _issuer_urls,
        _smart_server_url,
        _provider_urls,
        _client_urls,
        _authorization_server_urls,
    )
)
