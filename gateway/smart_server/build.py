"""Builds the parts of the SMART server from the settings. Files are read, but nothing is connected yet."""

import time
from collections.abc import Callable
from functools import partial

from gateway.certificates.client_certificates import ClientCertificateVerifier
from gateway.credentials.signing_key import SigningKey, SigningKeys, parse_key
from gateway.credentials.verify_client_assertion import AssertionVerifier
from gateway.oauth.authorization import LOCAL_PROVIDER
from gateway.oauth.client.client import digest_secret
from gateway.oauth.scope_limits import ScopeLimits
from gateway.settings.authorization.client_types import read_scopes
from gateway.settings.authorization.smart_server import IdentityProvider, SmartServer
from gateway.settings.model import Settings
from gateway.smart_server.accounts.client_registry import ClientRegistry
from gateway.smart_server.accounts.local_users import LocalUsers
from gateway.smart_server.current_signing_keys import CurrentSigningKeys
from gateway.smart_server.dependencies import Dependencies, StoredState
from gateway.smart_server.events.request_events import RequestEvents
from gateway.smart_server.lasting_parts import LastingServerParts
from gateway.smart_server.limits.limits import build_limits
from gateway.smart_server.openid_provider.openid_client import ADMIN_CALLBACK_PATH, OpenIdClient, callback_path
from gateway.smart_server.pages import build_pages
from gateway.smart_server.patients.patient_directory import FhirReader, PatientDirectory
from gateway.storage.accounts.configured_accounts import ConfiguredStore
from gateway.storage.accounts.known_places import KnownPlaces
from gateway.storage.accounts.registrations import Registrations
from gateway.storage.accounts.user_states import UserStates
from gateway.storage.attempts import Attempts
from gateway.storage.backends.store import Store
from gateway.storage.consents import Consents
from gateway.storage.launches import Launches
from gateway.storage.sessions import Sessions
from gateway.storage.signing_keys import SigningKeyStore
from gateway.storage.tokens.access_tokens import AccessTokens
from gateway.storage.tokens.assertion_replays import AssertionReplays
from gateway.storage.tokens.authorization_codes import AuthorizationCodes
from gateway.storage.tokens.authorizations import Authorizations
from gateway.storage.tokens.refresh_tokens import RefreshTokens
from gateway.storage.transactions import Transactions
from gateway.telemetry.server_event import ServerEvent
from gateway.upstream.documents.control_client import ControlClient

# Seconds for which the choices on a consent page are kept.
_CONSENT_LIFETIME = 365 * 86400.0


def build_stored_state(store: Store, settings: SmartServer) -> StoredState:
    """Every kind of record in the store."""
    lifetimes = settings.lifetimes
    authorizations = Authorizations(store)
    return StoredState(
        store=store,
        authorizations=authorizations,
        codes=AuthorizationCodes(store),
        access_tokens=AccessTokens(store, authorizations, other_providers(settings) | {LOCAL_PROVIDER}),
        refresh_tokens=RefreshTokens(store),
        replays=AssertionReplays(store),
        attempts=Attempts(store),
        transactions=Transactions(store, lifetimes.consent_page_seconds),
        sessions=Sessions(store, lifetimes.session_seconds),
        launches=Launches(store),
        consents=Consents(store, _CONSENT_LIFETIME),
        registrations=Registrations(store),
        configured=ConfiguredStore(store),
        user_states=UserStates(store),
        signing_keys=SigningKeyStore(store),
    )


def build_dependencies(
    settings: Settings,
    storage: StoredState,
    clients: ClientRegistry,
    fhir: FhirReader,
    control_client: ControlClient,
    lasting: LastingServerParts,
    on_event: Callable[[ServerEvent], None],
) -> Dependencies:
    """Everything that the endpoints need. `control_client` fetches URLs that the operator names."""
    smart_server = settings.smart_server
    assert smart_server is not None
    issuer = settings.smart_server_issuer()
    passwords = lasting.passwords
    certificates = settings.listen.client_certificates
    events = RequestEvents(on_event, time.time)
    build_provider = partial(_identity_provider, settings=settings, control_client=control_client)
    return Dependencies(
        issuer=issuer,
        fhir_base_url=settings.public_base_url,
        uses_https=issuer.startswith("https://"),
        lifetimes=smart_server.lifetimes,
        pages=build_pages(smart_server, issuer),
        style_url=smart_server.style_url,
        storage=storage,
        clients=clients,
        users=LocalUsers(
            smart_server.users,
            storage.registrations,
            storage.user_states,
            passwords,
            other_providers(smart_server),
            smart_server.sign_in_hint,
        ),
        patient_directory=PatientDirectory(fhir),
        providers=tuple(
            lasting.provider(provider, f"{issuer}{callback_path(index)}", build_provider)
            for index, provider in enumerate(smart_server.identity_providers)
        ),
        launchers={launcher.client_id: launcher for launcher in smart_server.launchers},
        passwords=passwords,
        assertion_verifier=AssertionVerifier(lasting.client_keys),
        certificate_verifier=None if certificates is None else ClientCertificateVerifier(certificates.authorities_file),
        signing_keys=_signing_keys(smart_server),
        clock=time.time,
        events=events,
        limits=build_limits(smart_server, storage.attempts, KnownPlaces(storage.store), time.time, events.add),
        user_scopes={name: read_scopes(text) for name, text in smart_server.user_scopes.items()},
        scope_limits=ScopeLimits(smart_server.max_scope_bytes, smart_server.max_scopes),
        purposes_of_use=tuple(purpose.offered() for purpose in smart_server.purposes_of_use),
        admin_token_digest=_admin_token_digest(smart_server),
        allows_registration=smart_server.registration,
        allows_task_launch=smart_server.task_launch,
        allows_writes=settings.writes.allow,
        keeps_app_state=settings.app_state is not None,
        allows_weak_secrets=settings.development,
        admin_provider=_admin_provider(settings, lasting, build_provider),
    )


def other_providers(smart_server: SmartServer) -> frozenset[str]:
    """The providers of users who have no password here (`User.provider`)."""
    return frozenset(
        {
            *(provider.issuer for provider in smart_server.identity_providers),
            *(launcher.client_id for launcher in smart_server.launchers),
        }
    )


def _identity_provider(
    provider: IdentityProvider,
    callback: str,
    settings: Settings,
    control_client: ControlClient,
) -> OpenIdClient:
    return OpenIdClient(provider, control_client, callback, settings.rules().bases)


def _admin_provider(
    settings: Settings, lasting: LastingServerParts, build: Callable[[IdentityProvider, str], OpenIdClient]
) -> OpenIdClient | None:
    """The provider where administrators sign in, with a callback at the admin port."""
    admin, smart_server = settings.admin, settings.smart_server
    if admin.provider is None or smart_server is None:
        return None
    found = [entry for entry in smart_server.identity_providers if entry.issuer == admin.provider.issuer]
    return lasting.provider(found[0], f"{admin.base_url}{ADMIN_CALLBACK_PATH}", build)


def _signing_keys(smart_server: SmartServer) -> CurrentSigningKeys:
    """The key of the configured file. Without one, there is none until those of the store are read at start."""
    file = smart_server.signing_key_file
    keys = None if file is None else SigningKeys([SigningKey(parse_key(file.read_bytes()), 0.0)])
    return CurrentSigningKeys(keys, keys is not None)


def _admin_token_digest(smart_server: SmartServer) -> str | None:
    if smart_server.admin_token is None:
        return None
    return digest_secret(smart_server.admin_token.get_secret_value())
