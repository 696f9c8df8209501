"""The metadata of an OpenID provider (OpenID Connect Discovery 1.0), read strictly and cached for some minutes."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gateway.smart_server.openid_provider.provider_errors import ProviderLoginError, ProviderLoginReason

# In seconds. Endpoints and the URL of the keys may move, and the gateway must notice without a restart.
LIFETIME_SECONDS = 300.0

# A control character in a URL would end up in one of our headers.
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,2000}")
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """The endpoints, and two features.

    `sends_issuer`: every authorization response has `iss` (RFC 9207). `sends_secret_in_form`: the token endpoint takes
    the client secret only in the form, not by HTTP Basic.
    """

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    sends_issuer: bool
    sends_secret_in_form: bool


def read_metadata(document: Mapping[str, Any], issuer: str) -> ProviderMetadata:
    """The metadata of `issuer`. Raises `ProviderLoginError` for another issuer, or if an endpoint is missing."""
    if document.get("issuer") != issuer:
        raise ProviderLoginError(ProviderLoginReason.UNAVAILABLE, "the discovery document is from another issuer")
    methods = document.get("token_endpoint_auth_methods_supported")
    if not isinstance(methods, list):
        methods = ["client_secret_basic"]  # the default of Discovery 3
    return ProviderMetadata(
        authorization_endpoint=_endpoint_url(document, "authorization_endpoint", issuer),
        token_endpoint=_endpoint_url(document, "token_endpoint", issuer),
        jwks_uri=_endpoint_url(document, "jwks_uri", issuer),
        userinfo_endpoint=_endpoint_url(document, "userinfo_endpoint", issuer)
        if "userinfo_endpoint" in document
        else None,
        sends_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        sends_secret_in_form="client_secret_basic" not in methods and "client_secret_post" in methods,
    )


def _endpoint_url(document: Mapping[str, Any], name: str, issuer: str) -> str:
    """An endpoint: https, or http if the issuer is http too, because secrets and tokens are sent there."""
    value = document.get(name)
    schemes = {"https", urlsplit(issuer).scheme}
    if isinstance(value, str) and _VISIBLE_ASCII.fullmatch(value) and "#" not in value:
        try:
            parts = urlsplit(value)
            is_usable = parts.scheme in schemes and bool(parts.hostname) and parts.username is None
        except ValueError:
            is_usable = False
        if is_usable:
            return value
    raise ProviderLoginError(ProviderLoginReason.UNAVAILABLE, f"the discovery document has no usable {name}")


class MetadataCache:
    """The metadata of one provider, read on first use and again after `LIFETIME_SECONDS`."""

    def __init__(self, issuer: str, fetch: Callable[[str], Awaitable[Mapping[str, Any]]]) -> None:
        """`fetch` returns the JSON object at a URL, and raises `ProviderLoginError`."""
        self._issuer = issuer
        self._fetch = fetch
        self._metadata: ProviderMetadata | None = None
        self._fresh_until = _NEVER
        self._loading: asyncio.Future[ProviderMetadata] | None = None

    async def get(self, now: float) -> ProviderMetadata:
        """The metadata. `now` is in seconds since the epoch. Raises `ProviderLoginError`."""
        if self._metadata is not None and now < self._fresh_until:
            return self._metadata
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load(now))
            self._loading.add_done_callback(self._finish_loading)
        return await asyncio.shield(self._loading)

    def invalidate(self) -> None:
        """Read the metadata again before the next use, because something failed with it."""
        self._fresh_until = _NEVER

    async def _load(self, now: float) -> ProviderMetadata:
        document = await self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        self._metadata = read_metadata(document, self._issuer)
        self._fresh_until = now + LIFETIME_SECONDS
        return self._metadata

    def _finish_loading(self, loading: "asyncio.Future[ProviderMetadata]") -> None:
        self._loading = None
        if not loading.cancelled():
            loading.exception()  # so that asyncio does not log it if all waiters were cancelled
