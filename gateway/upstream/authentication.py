"""How the gateway proves itself to the FHIR server; the client's own token never goes there."""

import asyncio
import base64
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import quote_plus

import msgspec

from .control import ControlClient, ControlError, Document
from .exchange import Exchange, Headers, Request, Response, Unreachable

# RFC 6750 section 2.1 (b64token).
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
# A token is renewed this many seconds before it expires; one that lives for less than a minute, after nine tenths.
_MARGIN = 30.0
# RFC 6749 section 5.1 lets a server leave `expires_in` out; then we ask again this often.
_UNKNOWN_LIFETIME = 300.0
# A server that has just refused is left alone for this long, whatever the load on us.
_REFUSAL_PAUSE = 1.0


class UpstreamAuthentication(Protocol):
    """Gives the header fields that prove who we are."""

    @property
    def static_headers(self) -> Headers | None:
        """The fields when they never change (give them to the pool as `constant_headers`), else None."""

    async def headers(self) -> Headers:
        """The fields for the next request. Raises `Unreachable` when none can be had."""

    def rejected(self, headers: Headers) -> bool:
        """The FHIR server answered 401 to these fields. Whether other ones may help."""


@dataclass(frozen=True, slots=True)
class StaticAuthentication:
    """Fields that never change: nothing at all, Basic, or a bearer token; mutual TLS needs none (`tls_context`)."""

    static_headers: Headers

    async def headers(self) -> Headers:
        """The same fields each time."""
        return self.static_headers

    def rejected(self, headers: Headers) -> bool:
        """No others to try."""
        return False


def no_authentication() -> StaticAuthentication:
    """The FHIR server trusts whoever reaches it, or the certificate that we show."""
    return StaticAuthentication(())


def basic(username: str, password: str) -> StaticAuthentication:
    """RFC 7617, in UTF-8. Raises `ValueError` for a colon in the user name or a control character in either."""
    if ":" in username or any(ord(character) < 32 or ord(character) == 127 for character in username + password):
        raise ValueError(
            "A user name for Basic authentication has no colon, and neither it nor the password a control."
        )
    credentials = base64.b64encode(f"{username}:{password}".encode())
    return StaticAuthentication(((b"authorization", b"Basic " + credentials),))


def bearer(token: str) -> StaticAuthentication:
    """RFC 6750 with a token that does not change. Raises `ValueError` for what cannot be one."""
    if _BEARER_TOKEN.fullmatch(token) is None:
        raise ValueError("The bearer token for the FHIR server has characters that no such token has.")
    return StaticAuthentication(((b"authorization", b"Bearer " + token.encode()),))


class _TokenAnswer(msgspec.Struct):
    """RFC 6749 section 5.1, as far as it matters here."""

    access_token: str
    token_type: str
    expires_in: float | None = None


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """The client credentials grant (RFC 6749 section 4.4) at one token endpoint."""

    token_endpoint: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str | None = None
    audience: str | None = None
    method: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"

    async def fetch(self, client: ControlClient) -> Document:
        """Ask for a token. Raises `ControlError`."""
        form = {"grant_type": "client_credentials"}
        if self.scope is not None:
            form["scope"] = self.scope
        if self.audience is not None:
            form["audience"] = self.audience
        if self.method == "client_secret_post":
            form |= {"client_id": self.client_id, "client_secret": self.client_secret}
            return await client.post_form(self.token_endpoint, form)
        # RFC 6749 section 2.3.1: both are form-encoded before they become a user name and a password.
        return await client.post_form(
            self.token_endpoint, form, auth=(quote_plus(self.client_id), quote_plus(self.client_secret))
        )


class ClientCredentialsAuthentication:
    """A bearer token from a token endpoint, kept until shortly before it expires, fetched once for all who wait."""

    static_headers: None = None

    def __init__(self, credentials: ClientCredentials, client: ControlClient, clock: Callable[[], float]) -> None:
        """`clock` gives seconds that only grow, such as `time.monotonic`."""
        self._credentials = credentials
        self._client = client
        self._clock = clock
        self._headers: Headers = ()
        self._renew_at = 0.0
        self._fetched_at = 0.0
        self._paused_until = 0.0
        self._refusal = ""
        self._fetching: asyncio.Task[Headers] | None = None

    async def headers(self) -> Headers:
        """The `authorization` field. Raises `Unreachable` when the token endpoint gives no token."""
        if self._headers and self._clock() < self._renew_at:
            return self._headers
        if self._clock() < self._paused_until:
            raise Unreachable(self._refusal)
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        # Shielded, because the fetch is everybody's: whoever gives up must not take the token from the others.
        return await asyncio.shield(self._fetching)

    def rejected(self, headers: Headers) -> bool:
        """Drop the token that was refused, unless another request has already brought a newer one.

        A token just fetched is kept: a FHIR server that refuses them all must not make us ask for one per request.
        """
        if headers == self._headers:
            if self._clock() < self._fetched_at + _REFUSAL_PAUSE:
                return False
            self._headers = ()
        return True

    async def aclose(self) -> None:
        """Stop a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _fetched(self, task: asyncio.Task[Headers]) -> None:
        self._fetching = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._refusal = str(error)
            self._paused_until = self._clock() + _REFUSAL_PAUSE

    async def _fetch(self) -> Headers:
        asked = self._clock()
        try:
            token, lifetime = _read_token(await self._credentials.fetch(self._client))
        except ControlError as error:
            raise Unreachable(f"No token for the FHIR server: {error}") from error
        self._headers = ((b"authorization", b"Bearer " + token.encode()),)
        self._fetched_at = asked
        self._renew_at = asked + max(lifetime - _MARGIN, lifetime * 0.9 if lifetime < 2 * _MARGIN else 0.0)
        return self._headers


def _read_token(document: Document) -> tuple[str, float]:
    if document.status != 200:
        raise ControlError(f"the token endpoint answered with the status {document.status}.")
    try:
        # `expires_in` is a number; some servers send it as a string.
        answer = msgspec.json.decode(document.body, type=_TokenAnswer, strict=False)
    except (msgspec.MsgspecError, UnicodeError):
        raise ControlError("the token endpoint's answer is no token response.") from None
    if answer.token_type.lower() != "bearer" or _BEARER_TOKEN.fullmatch(answer.access_token) is None:
        raise ControlError("the token endpoint gave something other than a bearer token.")
    lifetime = answer.expires_in if answer.expires_in is not None else _UNKNOWN_LIFETIME
    if not 0 < lifetime < float("inf"):
        raise ControlError("the token endpoint gave a token that has already expired.")
    return answer.access_token, lifetime


class AuthenticatedExchange:
    """An `Exchange` that adds our proof to each request, and repeats a GET or HEAD once when the proof had worn out."""

    def __init__(self, exchange: Exchange, authentication: UpstreamAuthentication) -> None:
        self._exchange = exchange
        self._authentication = authentication

    async def send(self, request: Request) -> Response:
        """As `Exchange.send`. Raises `ValueError` for a request that brings its own `authorization`."""
        if any(name == b"authorization" for name, _ in request.headers):
            raise ValueError("A request to the FHIR server must not carry a client's authorization.")
        proof = await self._authentication.headers()
        response = await self._exchange.send(_with(request, proof))
        if (
            response.status != 401
            or not self._authentication.rejected(proof)
            or request.method not in (b"GET", b"HEAD")
        ):
            return response
        await response.aclose()
        return await self._exchange.send(_with(request, await self._authentication.headers()))

    async def aclose(self) -> None:
        """Close the exchange beneath."""
        await self._exchange.aclose()


def _with(request: Request, proof: Headers) -> Request:
    return Request(request.method, request.target, request.headers + proof, request.body, request.own)


def tls_context(
    *, ca_file: str | None = None, certificate_file: str | None = None, key_file: str | None = None
) -> ssl.SSLContext:
    """Verify the server against `ca_file` or the system's authorities; show our own certificate where one is given.

    Raises `ValueError` naming the files when they cannot be used. TLS 1.2 is the least (checklist G-1).
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if certificate_file is not None:
            # An empty password instead of a question on the terminal when the key turns out to be encrypted.
            context.load_cert_chain(certificate_file, key_file, password="")
    except (OSError, ValueError) as error:
        files = ", ".join(file for file in (ca_file, certificate_file, key_file) if file is not None)
        raise ValueError(f"The certificates for the FHIR server cannot be used ({files}): {error}.") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
