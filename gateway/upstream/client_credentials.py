"""Authentication at the FHIR server with a token from a token endpoint (RFC 6749 section 4.4)."""

import asyncio
from collections.abc import Callable
from typing import Literal
from urllib.parse import quote_plus

import msgspec

from gateway.settings.serving.upstream import ClientCredentials
from gateway.upstream.authentication import BEARER_TOKEN
from gateway.upstream.documents.control_client import ControlClient
from gateway.upstream.documents.document_types import ControlError, FetchedDocument, FetchPurpose
from gateway.upstream.exchange_types import Headers, Unreachable

# A token is renewed this long before it expires. One that lives for less than twice as long is renewed after 90 %.
_RENEWAL_MARGIN_SECONDS = 30.0
# The lifetime if the server omits `expires_in`, as RFC 6749 section 5.1 permits.
_DEFAULT_LIFETIME_SECONDS = 300.0
# No new request so soon after a failed one, and no new token so soon after the last one.
_RETRY_DELAY_SECONDS = 1.0


class _TokenResponse(msgspec.Struct):
    """The members of a token response that are used here (RFC 6749 section 5.1)."""

    access_token: str
    token_type: str
    expires_in: float | None = None


class ClientCredentialsAuthentication:
    """A bearer token from a token endpoint, kept until shortly before it expires and fetched once for all requests."""

    static_headers: None = None

    def __init__(
        self,
        credentials: ClientCredentials,
        client: ControlClient,
        clock: Callable[[], float],
        method: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic",
    ) -> None:
        """`clock` returns seconds that only increase, such as `time.monotonic`.

        `method` is the `token_endpoint_auth_method` (RFC 7591 section 2).
        """
        self._credentials = credentials
        self._client = client
        self._clock = clock
        self._method = method
        self._headers: Headers = ()
        self._renew_at = 0.0
        self._fetched_at = 0.0
        self._retry_after = 0.0
        self._error = ""
        self._fetching: asyncio.Task[Headers] | None = None

    async def headers(self) -> Headers:
        """The `authorization` field. Raises `Unreachable` if the token endpoint issues no token."""
        if self._headers and self._clock() < self._renew_at:
            return self._headers
        if self._clock() < self._retry_after:
            raise Unreachable(self._error)
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
            self._fetching.add_done_callback(self._on_fetch_done)
        # Shielded, because requests share the fetch: one that is cancelled must not cancel it for the others.
        return await asyncio.shield(self._fetching)

    def handle_rejection(self, headers: Headers) -> bool:
        """Drop the refused token, unless another request has replaced it already.

        A token that was just fetched is kept, so that a FHIR server that refuses all tokens does not cause one token
        request per FHIR request.
        """
        if headers == self._headers:
            if self._clock() < self._fetched_at + _RETRY_DELAY_SECONDS:
                return False
            self._headers = ()
        return True

    async def aclose(self) -> None:
        """Cancel a fetch in progress."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _on_fetch_done(self, task: asyncio.Task[Headers]) -> None:
        self._fetching = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = str(error)
            self._retry_after = self._clock() + _RETRY_DELAY_SECONDS

    async def _fetch(self) -> Headers:
        requested_at = self._clock()
        try:
            token, lifetime = _parse_token_response(await self._request_token())
        except ControlError as error:
            raise Unreachable(f"No token for the FHIR server: {error}") from error
        self._headers = ((b"authorization", b"Bearer " + token.encode()),)
        self._fetched_at = requested_at
        is_short = lifetime < 2 * _RENEWAL_MARGIN_SECONDS
        usable_seconds = max(lifetime - _RENEWAL_MARGIN_SECONDS, lifetime * 0.9 if is_short else 0.0)
        self._renew_at = requested_at + usable_seconds
        return self._headers

    async def _request_token(self) -> FetchedDocument:
        """POST to the token endpoint. Raises `ControlError`."""
        credentials = self._credentials
        form = {"grant_type": "client_credentials"}
        if credentials.scope is not None:
            form["scope"] = credentials.scope
        if credentials.audience is not None:
            form["audience"] = credentials.audience
        client_id, client_secret = credentials.client_id, credentials.client_secret.get_secret_value()
        if self._method == "client_secret_post":
            form |= {"client_id": client_id, "client_secret": client_secret}
            return await self._client.post_form(credentials.token_endpoint, form, purpose=FetchPurpose.UPSTREAM_TOKEN)
        # RFC 6749 section 2.3.1: both are form-encoded before they become a user name and a password.
        auth = (quote_plus(client_id), quote_plus(client_secret))
        return await self._client.post_form(
            credentials.token_endpoint, form, auth=auth, purpose=FetchPurpose.UPSTREAM_TOKEN
        )


def _parse_token_response(document: FetchedDocument) -> tuple[str, float]:
    if document.status != 200:
        raise ControlError(f"the token endpoint responded with the status {document.status}.")
    try:
        # `expires_in` is a number; some servers send it as a string.
        response = msgspec.json.decode(document.body, type=_TokenResponse, strict=False)
    except (msgspec.MsgspecError, UnicodeError):
        raise ControlError("the response of the token endpoint is no token response.") from None
    if response.token_type.lower() != "bearer" or BEARER_TOKEN.fullmatch(response.access_token) is None:
        raise ControlError("the token endpoint issued something other than a bearer token.")
    lifetime = response.expires_in if response.expires_in is not None else _DEFAULT_LIFETIME_SECONDS
    if not 0 < lifetime < float("inf"):
        raise ControlError("the token endpoint issued a token that has already expired.")
    return response.access_token, lifetime
