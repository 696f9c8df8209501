"""The SMART server, put together from its settings."""

import asyncio
import logging
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.routing import BaseRoute

from gateway.keys.client_assertion import AssertionVerifier
from gateway.keys.client_keys import ClientKeys
from gateway.keys.passwords import PasswordChecker
from gateway.keys.signing import SigningKey, SigningKeys, make_key, read_key
from gateway.oauth.client import digest_of
from gateway.settings import smart_server as settings_of
from gateway.settings.clients import scopes_of
from gateway.settings.model import Settings
from gateway.storage.access_tokens import AccessTokens
from gateway.storage.attempts import Attempts
from gateway.storage.authorizations import Authorizations
from gateway.storage.codes import Codes
from gateway.storage.consents import Consents
from gateway.storage.launches import Launches
from gateway.storage.open_store import open_store
from gateway.storage.refresh_tokens import RefreshTokens
from gateway.storage.registrations import LocalUser, Registrations
from gateway.storage.replays import Replays
from gateway.storage.sessions import Sessions, Transactions
from gateway.storage.signing_keys import SigningKeyStore
from gateway.storage.store import Store, StoreAwayError
from gateway.telemetry.event import Event
from gateway.upstream.control import ControlClient
from gateway.web.fhir import Parts
from gateway.web.inquiry import Inquirer
from gateway.web.own_tokens import OwnTokens
from gateway.web.smart.clients import Clients
from gateway.web.smart.directory import Directory
from gateway.web.smart.documents import smart_configuration
from gateway.web.smart.parts import KeyRing, LauncherAccount, Remembered, SmartParts, Spans
from gateway.web.smart.providers import ProviderSettings, SignInProvider, callback_path
from gateway.web.smart.server import SmartServer
from gateway.web.smart.users import Users

_log = logging.getLogger(__name__)
# Seconds between two tries to listen to a store that is away.
_LISTEN_AGAIN = 0.5
_CONSENT_IS_REMEMBERED = 365 * 86400.0


class Smart:
    """The SMART server of one gateway: its store, its endpoints, and what it does beside answering.

    Made in two steps, because the proxy asks it about tokens and its pages ask the proxy's parts about patients.
    """

    def __init__(self, settings: Settings) -> None:
        """`settings.smart_server` is there."""
        smart = settings.smart_server
        assert smart is not None
        self._settings = settings
        self._kept = remembered(store_of(smart), smart)
        self._guarded = ControlClient(guarded=True, development=settings.development)
        self._server: SmartServer | None = None
        self._clients = Clients(smart.clients, self._kept.registrations)
        self.own_tokens = OwnTokens(self._kept.access_tokens, self._clients, settings.own_issuer())

    def open(self, parts: Parts, control: ControlClient, note: Callable[[Event], None]) -> None:
        """Put the endpoints together. `note` is told what happens."""
        self._server = SmartServer(
            smart_parts(self._settings, self._kept, self._clients, Inquirer(parts), control, self._guarded, note)
        )

    @property
    def server(self) -> SmartServer:
        """The endpoints."""
        assert self._server is not None
        return self._server

    @property
    def store(self) -> Store:
        """Where all of it is kept."""
        return self._kept.store

    def configuration(self) -> dict[str, object]:
        """The members of `.well-known/smart-configuration`."""
        smart = self._settings.smart_server
        assert smart is not None
        return smart_configuration(self._settings.own_issuer(), registration=smart.registration)

    def origins(self, client_id: str | None) -> frozenset[str]:
        """The origins that a client may call from, or all clients, as they are now."""
        return self.server.origins(client_id)

    def routes(self, base_path: str) -> list[BaseRoute]:
        """The addresses that are answered. `base_path` is the path of the FHIR base."""
        return self.server.routes(urlsplit(self._settings.own_issuer()).path, base_path)

    async def begin(self, forget: Callable[[str], None]) -> list[asyncio.Task[None]]:
        """The tasks that run from now on; `forget` is told of each end. Raises `StoreAwayError`."""
        await self.server.refresh()
        return [asyncio.create_task(self.server.keep_fresh()), asyncio.create_task(self._hear(forget))]

    async def aclose(self) -> None:
        """Give up the connections."""
        await self._guarded.aclose()
        await self._kept.store.aclose()

    async def _hear(self, forget: Callable[[str], None]) -> None:
        """Forget the tokens of authorizations as they end, wherever that was done."""
        while True:
            try:
                async for ended in self._kept.authorizations.ended():
                    forget(ended)
            except StoreAwayError as error:
                _log.warning("the store does not answer", extra={"detail": str(error)[:200]})
                await asyncio.sleep(_LISTEN_AGAIN)


def store_of(settings: settings_of.SmartServer) -> Store:
    """The store that the settings name."""
    ca_file = str(settings.store_ca_file) if settings.store_ca_file is not None else None
    return open_store(settings.store.get_secret_value(), ca_file=ca_file)


def remembered(store: Store, settings: settings_of.SmartServer) -> Remembered:
    """The doors to everything that is kept."""
    lifetimes = settings.lifetimes
    authorizations = Authorizations(store)
    return Remembered(
        store=store,
        authorizations=authorizations,
        codes=Codes(store),
        access_tokens=AccessTokens(store, authorizations),
        refresh_tokens=RefreshTokens(store),
        replays=Replays(store),
        attempts=Attempts(store),
        transactions=Transactions(store, lifetimes.consent_page_seconds),
        sessions=Sessions(store, lifetimes.session_seconds),
        launches=Launches(store),
        consents=Consents(store, _CONSENT_IS_REMEMBERED),
        registrations=Registrations(store),
        signing_keys=SigningKeyStore(store),
    )


def smart_parts(
    settings: Settings,
    kept: Remembered,
    clients: Clients,
    inquirer: Inquirer,
    control: ControlClient,
    guarded: ControlClient,
    note: Callable[[Event], None],
) -> SmartParts:
    """Everything the endpoints need. `guarded` fetches what clients name, `control` what the operator names."""
    smart = settings.smart_server
    assert smart is not None
    issuer = settings.own_issuer()
    passwords = PasswordChecker()
    lifetimes = smart.lifetimes
    local = [LocalUser(one.username, one.name, one.password_hash, one.fhir_user) for one in smart.users]
    return SmartParts(
        issuer=issuer,
        base=settings.public_base_url,
        secure=issuer.startswith("https://"),
        spans=Spans(
            access_token=lifetimes.access_token_seconds,
            backend_token=lifetimes.backend_token_seconds,
            refresh=lifetimes.refresh_seconds,
            refresh_grace=lifetimes.refresh_grace_seconds,
            session=lifetimes.session_seconds,
            code=lifetimes.code_seconds,
            launch=lifetimes.launch_seconds,
        ),
        frame_ancestors=smart.frame_ancestors,
        remembered=kept,
        clients=clients,
        users=Users(local, kept.registrations, passwords, smart.sign_in_hint),
        directory=Directory(inquirer),
        providers=tuple(
            _provider(one, f"{issuer}{callback_path(index)}", settings, control)
            for index, one in enumerate(smart.identity_providers)
        ),
        launchers={
            one.client_id: LauncherAccount(
                one.client_id, digest_of(one.client_secret.get_secret_value()), one.vouches_for_users
            )
            for one in smart.launchers
        },
        passwords=passwords,
        assertions=AssertionVerifier(ClientKeys(guarded.get_document)),
        ring=_ring(smart),
        clock=time.time,
        note=note,
        login_attempts=smart.login_attempts,
        user_scopes={name: scopes_of(text) for name, text in smart.user_scopes.items()},
        admin_token_digest=_token_digest(smart),
        registration=smart.registration,
    )


def _provider(
    one: settings_of.IdentityProvider, callback: str, settings: Settings, control: ControlClient
) -> SignInProvider:
    told = ProviderSettings(
        name=one.name,
        issuer=one.issuer,
        client_id=one.client_id,
        client_secret=one.client_secret.get_secret_value(),
        scopes=one.scopes,
        name_claim=one.name_claim,
        fhir_user_claim=one.fhir_user_claim,
    )
    return SignInProvider(told, control, callback, (settings.public_base_url, settings.upstream.base_url))


def _ring(smart: settings_of.SmartServer) -> KeyRing:
    """The key of the file; without one, any key until those of the store are read at start."""
    fixed = smart.signing_key_file is not None
    text = smart.signing_key_file.read_bytes() if smart.signing_key_file is not None else make_key()
    return KeyRing(SigningKeys([SigningKey(read_key(text), 0.0)]), fixed)


def _token_digest(smart: settings_of.SmartServer) -> str | None:
    if smart.admin_token is None:
        return None
    return digest_of(smart.admin_token.get_secret_value())
