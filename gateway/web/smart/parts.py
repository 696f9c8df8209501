"""What the endpoints of the SMART server are put together from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.keys.client_assertion import AssertionVerifier
from gateway.keys.passwords import PasswordChecker
from gateway.keys.signing import SigningKeys, make_key
from gateway.oauth.authorization import User
from gateway.scopes.model import Scope
from gateway.storage.access_tokens import AccessTokens
from gateway.storage.attempts import Attempts
from gateway.storage.authorizations import Authorizations
from gateway.storage.codes import Codes
from gateway.storage.consents import Consents
from gateway.storage.launches import Launches
from gateway.storage.refresh_tokens import RefreshTokens
from gateway.storage.registrations import Registrations
from gateway.storage.replays import Replays
from gateway.storage.sessions import Sessions, Transactions
from gateway.storage.signing_keys import SigningKeyStore, StoredKey, StoredKeys
from gateway.storage.store import Store
from gateway.telemetry.event import Event, EventKind
from gateway.web.smart.clients import Clients
from gateway.web.smart.directory import Directory
from gateway.web.smart.providers import SignInProvider
from gateway.web.smart.users import Users


@dataclass(frozen=True, slots=True)
class Remembered:
    """Everything that is kept in the store, thing by thing."""

    store: Store
    authorizations: Authorizations
    codes: Codes
    access_tokens: AccessTokens
    refresh_tokens: RefreshTokens
    replays: Replays
    attempts: Attempts
    transactions: Transactions
    sessions: Sessions
    launches: Launches
    consents: Consents
    registrations: Registrations
    signing_keys: SigningKeyStore

    async def end(self, authorization_id: str) -> None:
        """End an authorization and all that came of it, in every worker."""
        await self.authorizations.end(authorization_id)
        await self.refresh_tokens.end(authorization_id)


@dataclass(frozen=True, slots=True)
class Spans:
    """How long things last, in seconds."""

    access_token: int
    backend_token: int
    refresh: int
    refresh_grace: float
    session: int
    code: int
    launch: int


@dataclass(frozen=True, slots=True)
class LauncherAccount:
    """A system that may start apps. `secret_digest` is `sha256:` and the digest of its secret."""

    client_id: str
    secret_digest: str
    vouches_for_users: bool


@dataclass(slots=True)
class KeyRing:
    """The signing keys as they are known now; unless `fixed`, they are looked at again from time to time."""

    keys: SigningKeys
    fixed: bool


@dataclass(frozen=True, slots=True)
class SmartParts:
    """`issuer` and `base` are URLs without trailing slash; `clock` gives seconds since the epoch."""

    issuer: str
    base: str
    secure: bool
    spans: Spans
    frame_ancestors: tuple[str, ...]
    remembered: Remembered
    clients: Clients
    users: Users
    directory: Directory
    providers: tuple[SignInProvider, ...]
    launchers: Mapping[str, LauncherAccount]
    passwords: PasswordChecker
    assertions: AssertionVerifier
    ring: KeyRing
    clock: Callable[[], float]
    note: Callable[[Event], None]
    login_attempts: int
    user_scopes: Mapping[str, tuple[Scope, ...]]
    admin_token_digest: str | None
    registration: bool

    def tell(self, kind: EventKind, **facts: str | None) -> None:
        """Tell telemetry what happened; `facts` are the members of `Event`."""
        self.note(Event(kind=kind, at=self.clock(), **facts))

    @property
    def token_endpoint(self) -> str:
        """The URL that client assertions must name (CA-4)."""
        return f"{self.issuer}/token"

    async def refresh_keys(self, read: Callable[[StoredKeys], SigningKeys]) -> None:
        """Look at the signing keys of the store again, unless a file has them. Raises `StoreAwayError`."""
        if not self.ring.fixed:
            stored = await self.remembered.signing_keys.load(lambda: StoredKey(make_key(), 0.0))
            self.ring.keys = read(stored)

    def limits_of(self, user: User) -> tuple[Scope, ...]:
        """The most that a user may grant; a user without a resource of their own can grant no records at all."""
        return self.user_scopes.get((user.fhir_user or "").partition("/")[0], ())
