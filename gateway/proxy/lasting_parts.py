"""What the proxies of one process share, whatever configuration each of them is built from."""

import secrets
from weakref import WeakValueDictionary

from gateway.asgi.requests_in_progress import ProgressLimits, RequestsInProgress
from gateway.credentials.build import build_issuer_keys
from gateway.credentials.issuer_keys import FetchDocument, IssuerKeys
from gateway.credentials.trusted_issuer import TrustedIssuer
from gateway.settings.serving.overload import Overload
from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.turns import Turns


class LastingProxyParts:
    """The parts of the proxy that a reload keeps.

    `paging_key` seals links where none is configured, and `pages` keeps what is too long for a link where there is no
    other store. Writes to one record take `turns` under the old and the new configuration alike, and `in_progress`
    counts the requests of both.
    """

    def __init__(self, overload: Overload, paging_key: bytes | None = None) -> None:
        """Without a `paging_key`, a random one is generated: its links are valid until this process ends."""
        self.paging_key = paging_key or secrets.token_bytes(32)
        self.pages = MemoryStore()
        self.turns = Turns()
        self.in_progress = RequestsInProgress(progress_limits(overload))
        self._issuer_keys: WeakValueDictionary[str, IssuerKeys] = WeakValueDictionary()

    def issuer_keys(self, issuer: TrustedIssuer, fetch: FetchDocument) -> IssuerKeys | None:
        """The source of an issuer's keys; None if it introspects tokens.

        Keys that were fetched are not fetched again because of a reload, when their issuer may be away. Those of a file
        are read again.
        """
        url = issuer.jwks_url
        keys = None if url is None else self._issuer_keys.get(url)
        if keys is None:
            keys = build_issuer_keys(issuer, fetch)
            if keys is not None and url is not None:
                self._issuer_keys[url] = keys
        return keys


def progress_limits(settings: Overload) -> ProgressLimits:
    """The limits on requests in progress, as the settings say."""
    return ProgressLimits(settings.requests, settings.requests_per_client, settings.requests_per_address)
