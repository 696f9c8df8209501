"""What the endpoints of the SMART server need: settings, stored state, and the components that they share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.certificates.client_certificates import ClientCertificateVerifier
from gateway.credentials.passwords import PasswordChecker
from gateway.credentials.verify_client_assertion import AssertionVerifier
from gateway.oauth.authorization import User
from gateway.oauth.purpose_of_use import OfferedPurpose
from gateway.oauth.scope_limits import ScopeLimits
from gateway.scopes.model import Scope
from gateway.settings.authorization.smart_server import Launcher, Lifetimes
from gateway.smart_server.accounts.client_registry import ClientRegistry
from gateway.smart_server.accounts.local_users import LocalUsers
from gateway.smart_server.configuration_control import ConfigurationControl
from gateway.smart_server.current_signing_keys import CurrentSigningKeys
from gateway.smart_server.events.request_events import RequestEvents
from gateway.smart_server.limits.limits import SmartServerLimits
from gateway.smart_server.openid_provider.openid_client import OpenIdClient
from gateway.smart_server.pages import Pages
from gateway.smart_server.patients.patient_directory import PatientDirectory
from gateway.storage.access_ends import AccessEnds
from gateway.storage.accounts.configured_accounts import ConfiguredStore
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
from gateway.telemetry.server_event import EventKind, ServerEvent


@dataclass(frozen=True, slots=True)
class StoredState:
    """All records in the store, by kind."""

    store: Store
    authorizations: Authorizations
    codes: AuthorizationCodes
    access_tokens: AccessTokens
    refresh_tokens: RefreshTokens
    replays: AssertionReplays
    attempts: Attempts
    transactions: Transactions
    sessions: Sessions
    launches: Launches
    consents: Consents
    registrations: Registrations
    configured: ConfiguredStore
    user_states: UserStates
    signing_keys: SigningKeyStore

    @property
    def ends(self) -> AccessEnds:
        """What ends access, of users, sessions, clients and authorizations."""
        return AccessEnds(self.authorizations, self.refresh_tokens, self.sessions, self.user_states)


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Shared by all endpoints. `purposes_of_use` are those that users may name on the consent page.

    `issuer` and `fhir_base_url` are URLs without trailing slash. `clock` returns seconds since the epoch. `user_scopes`
    holds the most that a user may grant, by the type of the user's own resource. `certificate_verifier` is None where
    no certificate of a client is seen. `configuration` changes the
    configuration in force, where that is possible. `admin_provider` is where administrators sign in.
    """

    issuer: str
    fhir_base_url: str
    uses_https: bool
    lifetimes: Lifetimes
    pages: Pages
    style_url: str | None
    storage: StoredState
    clients: ClientRegistry
    users: LocalUsers
    patient_directory: PatientDirectory
    providers: tuple[OpenIdClient, ...]
    launchers: Mapping[str, Launcher]
    passwords: PasswordChecker
    assertion_verifier: AssertionVerifier
    certificate_verifier: ClientCertificateVerifier | None
    signing_keys: CurrentSigningKeys
    clock: Callable[[], float]
    events: RequestEvents
    limits: SmartServerLimits
    user_scopes: Mapping[str, tuple[Scope, ...]]
    scope_limits: ScopeLimits
    purposes_of_use: tuple[OfferedPurpose, ...]
    admin_token_digest: str | None
    allows_registration: bool
    allows_task_launch: bool
    allows_writes: bool
    keeps_app_state: bool
    allows_weak_secrets: bool
    configuration: ConfigurationControl | None = None
    admin_provider: OpenIdClient | None = None

    def record_event(self, kind: EventKind, **fields: str | None) -> None:
        """Send an event to telemetry. `fields` are the fields of `ServerEvent`."""
        self.events.add(ServerEvent(kind=kind, at=self.clock(), **fields))

    def now(self) -> float:
        """The time of `clock`."""
        return self.clock()

    @property
    def start_page(self) -> str:
        """The URL of the page to which every error page links."""
        return f"{self.issuer}/"

    @property
    def token_endpoint(self) -> str:
        """The URL that client assertions must name (CA-4)."""
        return f"{self.issuer}/token"

    def user_scope_limits(self, user: User) -> tuple[Scope, ...]:
        """The most that a user may grant. A user without an own FHIR resource can grant no access to records."""
        return self.user_scopes.get((user.fhir_user or "").partition("/")[0], ())
