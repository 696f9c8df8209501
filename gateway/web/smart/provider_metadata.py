"""What a provider publishes of itself (OpenID Connect Discovery 1.0): read strictly, and looked at again in time."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gateway.web.smart.provider_errors import SignInError, SignInReason

# Endpoints and the address of the keys may move; nobody should have to restart us for that.
LIFETIME = 300.0

# A control character in an address would end up in a header of ours.
_VISIBLE = re.compile(r"[\x21-\x7e]{1,2000}")
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """The endpoints. `names_itself`: every answer carries `iss` (RFC 9207). `secret_in_form`: no HTTP Basic there."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    names_itself: bool
    secret_in_form: bool


def read_metadata(document: Mapping[str, Any], issuer: str) -> ProviderMetadata:
    """The metadata of `issuer`. Raises `SignInError` for a document of another, or one that lacks an endpoint."""
    if document.get("issuer") != issuer:
        raise SignInError(SignInReason.UNAVAILABLE, "the discovery document is of another issuer")
    methods = document.get("token_endpoint_auth_methods_supported")
    known = methods if isinstance(methods, list) else ["client_secret_basic"]  # the default of Discovery 3
    return ProviderMetadata(
        authorization_endpoint=_address(document, "authorization_endpoint", issuer),
        token_endpoint=_address(document, "token_endpoint", issuer),
        jwks_uri=_address(document, "jwks_uri", issuer),
        userinfo_endpoint=_address(document, "userinfo_endpoint", issuer) if "userinfo_endpoint" in document else None,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        secret_in_form="client_secret_basic" not in known and "client_secret_post" in known,
    )


def _address(document: Mapping[str, Any], name: str, issuer: str) -> str:
    """An endpoint: https, and http only where the issuer itself is, since secrets and tokens travel there."""
    value = document.get(name)
    schemes = {"https", urlsplit(issuer).scheme}
    if isinstance(value, str) and _VISIBLE.fullmatch(value) and "#" not in value:
        try:
            parts = urlsplit(value)
            usable = parts.scheme in schemes and bool(parts.hostname) and parts.username is None
        except ValueError:
            usable = False
        if usable:
            return value
    raise SignInError(SignInReason.UNAVAILABLE, f"the discovery document has no usable {name}")


class KeptMetadata:
    """The metadata of one provider, read when it is needed and again after some minutes."""

    def __init__(self, issuer: str, fetch: Callable[[str], Awaitable[Mapping[str, Any]]]) -> None:
        """`fetch` gives the JSON object at a URL, and raises `SignInError`."""
        self._issuer = issuer
        self._fetch = fetch
        self._known: ProviderMetadata | None = None
        self._fresh_until = _NEVER
        self._loading: asyncio.Future[ProviderMetadata] | None = None

    async def get(self, now: float) -> ProviderMetadata:
        """The metadata. `now` is in seconds since the epoch. Raises `SignInError`."""
        if self._known is not None and now < self._fresh_until:
            return self._known
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load(now))
            self._loading.add_done_callback(self._ended)
        return await asyncio.shield(self._loading)

    def doubt(self) -> None:
        """Something went wrong with it: look again before the next use."""
        self._fresh_until = _NEVER

    async def _load(self, now: float) -> ProviderMetadata:
        document = await self._fetch(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        self._known = read_metadata(document, self._issuer)
        self._fresh_until = now + LIFETIME
        return self._known

    def _ended(self, loading: "asyncio.Future[ProviderMetadata]") -> None:
        self._loading = None
        if not loading.cancelled():
            loading.exception()  # whoever waited may have gone away meanwhile
