"""The SMART server of one gateway: its store, its endpoints and its background tasks."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.fhir.app_state.state_codes import StateCodes
from gateway.settings.authorization.smart_server import SmartServer
from gateway.settings.model import Settings
from gateway.smart_server.accounts.client_registry import ClientRegistry
from gateway.smart_server.accounts.configuration_changes import end_removed_access
from gateway.smart_server.background_refresh import BackgroundRefresh
from gateway.smart_server.build import build_dependencies, build_stored_state
from gateway.smart_server.configuration_control import ConfigurationControl
from gateway.smart_server.dependencies import Dependencies, StoredState
from gateway.smart_server.discovery_documents import smart_configuration
from gateway.smart_server.events.watched_store import WatchedStore
from gateway.smart_server.lasting_parts import LastingServerParts
from gateway.smart_server.patients.patient_directory import FhirReader
from gateway.smart_server.routes import SmartServerRoutes
from gateway.smart_server.token.issued_tokens import IssuedTokenResolver
from gateway.storage import store_keys
from gateway.storage.backends.store import StoreUnavailableError
from gateway.telemetry.metric_types import Durations
from gateway.telemetry.server_event import ServerEvent
from gateway.upstream.documents.control_client import ControlClient

# Seconds between two attempts to listen to a store that is unavailable.
_LISTEN_RETRY = 0.1
# Seconds between two attempts to read what the start needs.
_START_RETRY = 0.5


class SmartServerAssembly:
    """The SMART server of one gateway.

    It is built in two steps. The proxy needs its access tokens; its pages need the proxy to read patients.
    """

    def __init__(self, settings: Settings, lasting: LastingServerParts) -> None:
        """First step: the stored state. `settings.smart_server` must be set."""
        smart_server = settings.smart_server
        assert smart_server is not None
        self._settings = settings
        self._lasting = lasting
        self._previous: SmartServer | None = None
        self._storage: StoredState = build_stored_state(lasting.store, smart_server)
        self._routes: SmartServerRoutes | None = None
        self._background_refresh: BackgroundRefresh | None = None
        self._dependencies: Dependencies | None = None
        self._clients = ClientRegistry(smart_server.clients, self._storage.registrations)
        self.issued_tokens = IssuedTokenResolver(
            self._storage.access_tokens,
            self._clients,
            settings.smart_server_issuer(),
            tuple(purpose.offered() for purpose in smart_server.purposes_of_use),
        )

    def open(
        self,
        fhir: FhirReader,
        control_client: ControlClient,
        on_event: Callable[[ServerEvent], None],
        configuration: ConfigurationControl | None = None,
    ) -> None:
        """Second step: the endpoints. `fhir` reads records for the pages; `on_event` receives what happens.

        `configuration` is for the admin API, where the configuration can be changed.
        """
        dependencies = replace(
            build_dependencies(
                self._settings, self._storage, self._clients, fhir, control_client, self._lasting, on_event
            ),
            configuration=configuration,
        )
        self._dependencies = dependencies
        self._background_refresh = BackgroundRefresh(dependencies)
        self._routes = SmartServerRoutes(dependencies, self._background_refresh)

    @property
    def background_refresh(self) -> BackgroundRefresh:
        """The caches of this worker; `open` must have been called."""
        assert self._background_refresh is not None
        return self._background_refresh

    @property
    def dependencies(self) -> Dependencies:
        """What the endpoints need; `open` must have been called."""
        assert self._dependencies is not None
        return self._dependencies

    @property
    def store(self) -> WatchedStore:
        """The store of all state."""
        return self._lasting.store

    @property
    def store_round_trips(self) -> Mapping[tuple[str, str], int]:
        """Round trips to the store, by operation and outcome."""
        return self._lasting.store.round_trips

    @property
    def store_durations(self) -> Durations:
        """How long they took."""
        return self._lasting.store.durations

    @property
    def signing_since(self) -> float | None:
        """Since when the key that signs has signed, in seconds since the epoch; None if that is not known."""
        dependencies = self._dependencies
        if dependencies is None or dependencies.signing_keys.loaded is None:
            return None
        return dependencies.signing_keys.loaded.signing_since(dependencies.now()) or None

    @property
    def fetches(self) -> Mapping[tuple[str, str], int]:
        """The requests for documents that clients name."""
        return self._lasting.guarded_client.fetches

    def configuration(self) -> dict[str, object]:
        """The members of `.well-known/smart-configuration`."""
        smart_server = self._settings.smart_server
        assert smart_server is not None
        return smart_configuration(
            self._settings.smart_server_issuer(),
            registration=smart_server.registration,
            has_style=smart_server.style_url is not None,
            allows_writes=self._settings.writes.allow,
            sees_certificates=self._settings.listen.client_certificates is not None,
        )

    async def find_state_codes(self, client_id: str) -> tuple[StateCodes, ...]:
        """The codes of app state that a client may use. Raises `StoreUnavailableError`."""
        client = await self._clients.find_enabled(client_id)
        return () if client is None else client.trusted_state_codes

    def registered_origins(self, client_id: str | None) -> frozenset[str]:
        """The web origins of a client, or of all clients, as they are now."""
        return self.background_refresh.registered_origins(client_id)

    def routes(self, base_path: str) -> list[BaseRoute]:
        """The routes of all endpoints. `base_path` is the path of the FHIR base."""
        assert self._routes is not None
        return self._routes.routes(urlsplit(self._settings.smart_server_issuer()).path, base_path)

    def unknown_page(self, request: Request, status: int) -> Response:
        """The page of an address where nothing is."""
        assert self._routes is not None
        return self._routes.start_page.unknown_page(request, status)

    async def prepare(self) -> None:
        """Read what the store has, before this server takes the place of another. Raises `StoreUnavailableError`."""
        await self.background_refresh.refresh()

    async def start_background_tasks(
        self, forget: Callable[[str | None], None], previous: SmartServer | None = None
    ) -> list[asyncio.Task[None]]:
        """Start the tasks that refresh and listen. A store that does not respond yet is waited for in the background.

        `forget` receives the id of each authorization and client that ends, and None when ends may have been missed.
        `previous` are the settings of the server whose place this one has taken. It has been prepared then, and accepts
        tokens at once.
        """
        self._previous = previous
        self.issued_tokens.is_held = previous is None
        await self._try_to_prepare()
        return [
            asyncio.create_task(self._prepare_and_refresh()),
            asyncio.create_task(self._listen_for_revocations(forget)),
        ]

    async def check_store(self) -> None:
        """Raises `StoreUnavailableError` unless the store is writable, and what the start needs of it has been read."""
        await self._storage.store.ping()
        if self.issued_tokens.is_held:
            raise StoreUnavailableError("What the start needs of the store has not been read yet.")

    async def _prepare_and_refresh(self) -> None:
        while self.issued_tokens.is_held:
            await asyncio.sleep(_START_RETRY)
            await self._try_to_prepare()
        await self.background_refresh.run()

    async def _try_to_prepare(self) -> None:
        """End what the configuration no longer permits, and read what the store has. Only then tokens are accepted."""
        smart_server, dependencies = self._settings.smart_server, self._dependencies
        assert smart_server is not None
        assert dependencies is not None
        try:
            await self._storage.replays.begin_record()
            await end_removed_access(smart_server, dependencies, self._previous)
            await self.background_refresh.refresh()
        except StoreUnavailableError:
            self.issued_tokens.is_held = True
            return
        self.issued_tokens.is_held = False

    async def _listen_for_revocations(self, forget: Callable[[str | None], None]) -> None:
        """Forget the tokens of authorizations as they end, whichever worker ended them."""
        while True:
            try:
                async for ended_id in self._storage.authorizations.listen_for_ends():
                    if ended_id is not None and self._follow(ended_id):
                        continue
                    forget(ended_id)
                    if ended_id in {None, store_keys.SIGNING_KEYS}:
                        await self.background_refresh.reload_signing_keys()
            except StoreUnavailableError:
                await asyncio.sleep(_LISTEN_RETRY)

    def _follow(self, message: str) -> bool:
        """Whether the message is about the configuration; then it is followed."""
        configuration = None if self._dependencies is None else self._dependencies.configuration
        return configuration is not None and configuration.hear(message)
