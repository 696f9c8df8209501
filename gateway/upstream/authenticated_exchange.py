"""Adds the credentials of the gateway to each request, and retries once after a 401."""

import msgspec

from gateway.upstream.authentication import UpstreamAuthentication
from gateway.upstream.exchange_types import Exchange, Headers, Request, Response


class AuthenticatedExchange:
    """An `Exchange` that adds credentials to each request. After a 401, it retries a GET or HEAD once with new ones."""

    def __init__(self, exchange: Exchange, authentication: UpstreamAuthentication) -> None:
        self._exchange = exchange
        self._authentication = authentication

    async def send(self, request: Request) -> Response:
        """See `Exchange.send`. Raises `ValueError` for a request that has an `authorization` header."""
        if any(name == b"authorization" for name, _ in request.headers):
            raise ValueError("A request to the FHIR server must not carry a client's authorization.")
        credentials = await self._authentication.headers()
        response = await self._exchange.send(_add_headers(request, credentials))
        if (
            response.status != 401
            or not self._authentication.handle_rejection(credentials)
            or request.method not in (b"GET", b"HEAD")
        ):
            return response
        await response.aclose()
        return await self._exchange.send(_add_headers(request, await self._authentication.headers()))

    async def aclose(self) -> None:
        """Close the underlying exchange."""
        await self._exchange.aclose()


def _add_headers(request: Request, credentials: Headers) -> Request:
    return msgspec.structs.replace(request, headers=request.headers + credentials)
