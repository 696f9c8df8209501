"""What the SMART servers of one process share, whatever configuration each of them is built from."""

from collections.abc import Callable
from functools import partial
from weakref import WeakValueDictionary

from gateway.credentials.client_keys import ClientKeys
from gateway.credentials.passwords import PasswordChecker
from gateway.settings.authorization.smart_server import IdentityProvider, SmartServer
from gateway.smart_server.events.watched_store import WatchedStore
from gateway.smart_server.openid_provider.openid_client import OpenIdClient
from gateway.storage.backends.open_store import open_store
from gateway.upstream.documents.control_client import ControlClient
from gateway.upstream.documents.document_types import FetchPurpose


class LastingServerParts:
    """The parts of the SMART server that a reload keeps: the store, and what was fetched or computed at some expense.

    `guarded_client` fetches URLs that clients name.
    """

    def __init__(self, settings: SmartServer, *, development: bool) -> None:
        """Nothing is connected yet. These settings need a restart to change (`gateway.settings.serving.restart`)."""
        ca_file = str(settings.store_ca_file) if settings.store_ca_file is not None else None
        store = open_store(settings.store.get_secret_value(), ca_file=ca_file, replicas=settings.store_replicas)
        self.store = WatchedStore(store)
        self.guarded_client = ControlClient(public_only=True, development=development)
        self.client_keys = ClientKeys(partial(self.guarded_client.get_document, purpose=FetchPurpose.CLIENT_KEYS))
        self.passwords = PasswordChecker()
        self._providers: WeakValueDictionary[tuple[IdentityProvider, str], OpenIdClient] = WeakValueDictionary()

    def provider(
        self, settings: IdentityProvider, callback: str, build: Callable[[IdentityProvider, str], OpenIdClient]
    ) -> OpenIdClient:
        """The client of an OpenID provider, with its cached metadata and keys if its settings are the same."""
        key = (settings, callback)
        client = self._providers.get(key)
        if client is None:
            client = self._providers[key] = build(settings, callback)
        return client

    async def aclose(self) -> None:
        """Close all connections."""
        await self.guarded_client.aclose()
        await self.store.aclose()
