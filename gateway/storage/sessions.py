"""Signed-in browsers, and what a browser is in the middle of."""

from dataclasses import dataclass, field, replace

from gateway.oauth.authorization import Session, User
from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.launch_context import LaunchContext
from gateway.storage.handles import digest
from gateway.storage.records import decode, encode
from gateway.storage.store import Store


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """What a person answered to the row of one scope on the consent page.

    `scope` and `parts`, the narrower permissions that were ticked, are scope texts; `use` is `all`, `some` or `none`.
    """

    scope: str
    use: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transaction:
    """One authorization request on its way through the pages, bound to one browser.

    `browser` is the digest of that browser's cookie. `offered` are the patients, encounters or scopes that the last
    page offered: only those can be chosen (edge case 45). `launched_for` is the user an EHR launch was made for, and
    `patient_of_launch` says that it brought the patient. `several_patients`: a picker had more than one to choose from.
    `answers` and `remember` are what the user ticked on a consent page that has to be shown once more. `as_read` are
    the bytes that it was read as, which are no part of it; empty where it is new.
    """

    transaction_id: str
    request: AuthorizationRequest
    browser: str
    csrf: str
    started_at: float
    context: LaunchContext = field(default_factory=LaunchContext)
    launched: bool = False
    launched_for: str | None = None
    patient_of_launch: bool = False
    user: User | None = None
    session_id: str | None = None
    signed_in_at: float | None = None
    signed_in_here: bool = False
    patient_name: str = ""
    patient_detail: str = ""
    offered: tuple[str, ...] = ()
    provider_index: int = 0
    encounter_settled: bool = False
    several_patients: bool = False
    provider_state: str = ""
    provider_nonce: str = ""
    provider_verifier: str = ""
    answers: tuple[RowAnswer, ...] = ()
    remember: bool = False
    as_read: bytes = field(default=b"", compare=False, repr=False)

    def with_context(self, **changes: str | None) -> "Transaction":
        """The transaction with another patient or encounter in its context."""
        return replace(self, context=replace(self.context, **changes))  # type: ignore[arg-type]  # ids only

    def without_choices(self) -> "Transaction":
        """The transaction before a patient or a visit was chosen; what a launch brought stays."""
        begun = self if self.patient_of_launch else self.with_context(patient=None, encounter=None)
        return replace(begun, patient_name="", patient_detail="", offered=(), encounter_settled=False)

    def without_user(self) -> "Transaction":
        """The transaction before anybody signed in, with nothing of what that person saw, chose or ticked."""
        return replace(
            self.without_choices(),
            user=None,
            session_id=None,
            signed_in_at=None,
            signed_in_here=False,
            several_patients=False,
            answers=(),
            remember=False,
        )

    @property
    def another_patient(self) -> bool:
        """Whether the patient was chosen here, among others who can be chosen in place of that one."""
        return self.several_patients and not self.patient_of_launch and self.context.patient is not None


class Transactions:
    """All requests that are before a person now."""

    def __init__(self, store: Store, lifetime: float) -> None:
        """`lifetime` is in seconds, from the last step."""
        self._store = store
        self._lifetime = lifetime

    async def put(self, transaction: Transaction) -> Transaction | None:
        """Remember the request as it stands, in the place of what was read; the request as it is kept now.

        None where it was answered, or taken a step on, since it was read: a page that was slow undoes neither.
        """
        key = _transaction_key(transaction.transaction_id)
        data = encode(replace(transaction, as_read=b""))
        if not transaction.as_read:
            await self._store.put(key, data, self._lifetime)
        elif not await self._store.replace(key, transaction.as_read, data, self._lifetime):
            return None
        return replace(transaction, as_read=data)

    async def get(self, transaction_id: str) -> Transaction | None:
        """The request as it stands."""
        data = await self._store.get(_transaction_key(transaction_id))
        transaction = decode(data, Transaction)
        return None if data is None or transaction is None else replace(transaction, as_read=data)

    async def take(self, transaction_id: str) -> Transaction | None:
        """The request, to be answered: to one taker only, so that one consent makes one code."""
        return decode(await self._store.take(_transaction_key(transaction_id)), Transaction)


class Sessions:
    """All signed-in browsers."""

    def __init__(self, store: Store, lifetime: float) -> None:
        """`lifetime` is in seconds, from the last use."""
        self._store = store
        self._lifetime = lifetime

    async def put(self, cookie: str, session: Session) -> None:
        """Remember who signed in; `cookie` is the secret that only the browser has."""
        await self._store.put(_session_key(cookie), encode(session), self._lifetime)
        await self._store.put(_alive_key(session.session_id), b"", self._lifetime)

    async def get(self, cookie: str) -> Session | None:
        """Who signed in; a look prolongs the session."""
        data = await self._store.get(_session_key(cookie))
        session = decode(data, Session)
        if data is None or session is None:
            return None
        # Each only if it still stands: a sign-out meanwhile is not undone.
        if not await self._store.replace(_session_key(cookie), data, data, self._lifetime):
            return None
        lives = await self._store.replace(_alive_key(session.session_id), b"", b"", self._lifetime)
        return session if lives else None

    async def lives(self, session_id: str) -> bool:
        """Whether the session still lasts, and with it what was granted for as long (RF-2, edge case 62)."""
        return await self._store.get(_alive_key(session_id)) is not None

    async def end(self, cookie: str) -> None:
        """Sign out. The session itself goes last: where the store went away before, the same is done once more."""
        session = decode(await self._store.get(_session_key(cookie)), Session)
        if session is not None:
            await self._store.delete(_alive_key(session.session_id))
        await self._store.delete(_session_key(cookie))


def _transaction_key(transaction_id: str) -> str:
    return f"transaction:{digest(transaction_id)}"


def _session_key(cookie: str) -> str:
    return f"session:{digest(cookie)}"


def _alive_key(session_id: str) -> str:
    return f"session-lives:{session_id}"
