"""Requests other than FHIR requests: key sets, introspection, token endpoints and OpenID discovery."""

import ssl
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING

from gateway.upstream.documents.document_types import (
    ControlError,
    FetchedDocument,
    FetchLimits,
    FetchOutcome,
    FetchPurpose,
)
from gateway.upstream.documents.public_addresses import IPNetwork

if TYPE_CHECKING:
    from gateway.upstream.documents.document_fetcher import DocumentFetcher

MAX_DOCUMENT_BYTES = 1024 * 1024


class ControlClient:
    """Fetches small documents with limits on size and time; without redirects, cookies or proxies of the environment.

    `public_only=True` is for URLs that the operator did not choose, such as the `jwks_uri` of a registered client. It
    permits only https and public addresses (authorization.md choice 12). The name is resolved once, every address is
    checked, and the connection is made to a checked address, so that a second resolution cannot lead elsewhere.
    `permitted_networks` are networks whose addresses are permitted although they are not public. `development=True`
    turns `public_only` off. `timeout` is in seconds. `fetches` counts all requests.
    """

    def __init__(
        self,
        *,
        public_only: bool = False,
        development: bool = False,
        permitted_networks: Sequence[IPNetwork] = (),
        timeout: float = 5.0,
        max_bytes: int = MAX_DOCUMENT_BYTES,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._limits = FetchLimits(
            public_only and not development, tuple(permitted_networks), timeout, max_bytes, ssl_context
        )
        self._created_fetcher: DocumentFetcher | None = None
        self.fetches: dict[tuple[str, str], int] = {
            (purpose, outcome): 0 for purpose in FetchPurpose for outcome in FetchOutcome
        }

    @property
    def _fetcher(self) -> "DocumentFetcher":
        if self._created_fetcher is None:
            from gateway.upstream.documents.document_fetcher import DocumentFetcher  # noqa: PLC0415 - without fetches, the memory of an HTTP client is saved

            self._created_fetcher = DocumentFetcher(self._limits)
        return self._created_fetcher

    async def get_document(
        self, url: str, token: str | None = None, *, purpose: FetchPurpose = FetchPurpose.PROVIDER
    ) -> FetchedDocument:
        """GET, with a bearer token if there is one.

        Raises `ControlError`. A status other than 2xx, such as a redirect, is no error.
        """
        return await self._count(purpose, self._fetcher.get(url, token))

    async def post_form(
        self,
        url: str,
        form: Mapping[str, str],
        auth: tuple[str, str] | None = None,
        *,
        purpose: FetchPurpose = FetchPurpose.PROVIDER,
    ) -> FetchedDocument:
        """POST a form; `auth` is a user name and password for Basic authentication. Raises `ControlError`."""
        return await self._count(purpose, self._fetcher.post(url, form, auth))

    async def _count(self, purpose: FetchPurpose, fetch: Awaitable[FetchedDocument]) -> FetchedDocument:
        try:
            document = await fetch
        except ControlError:
            self.fetches[purpose, FetchOutcome.UNREACHABLE] += 1
            raise
        is_success = 200 <= document.status < 300
        self.fetches[purpose, FetchOutcome.OK if is_success else FetchOutcome.REFUSED] += 1
        return document

    async def aclose(self) -> None:
        """Close every connection."""
        if self._created_fetcher is not None:
            await self._created_fetcher.aclose()
