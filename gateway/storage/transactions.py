"""Authorization requests that wait for a user: each is bound to one browser and changes with every page."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from gateway.oauth.authorization import User
from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.oauth.launch_context import LaunchContext
from gateway.storage import store_keys
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode
from gateway.storage.tokens.opaque_tokens import digest


@dataclass(frozen=True, slots=True)
class ScopeChoice:
    """What the user chose for one scope on the consent page.

    `use` is `all`, `some` or `none`. `scope` and `parts`, the narrower permissions that were ticked, are scope texts.
    """

    scope: str
    use: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transaction:
    """One authorization request that waits for its user, bound to one browser.

    `browser` is the digest of that browser's cookie. `offered` are the patients, encounters or scopes that the last
    page offered: only those can be chosen (edge case 45). `launched_for` is the user that an EHR launch was made for;
    `patient_of_launch` means that the launch named the patient. `several_patients` means that the patient picker
    offered more than one. `other_user` means that who had signed in before was not the user. `answers`, `remember`
    and `purpose_of_use` are what the user chose on a consent page that has to be shown once more. `as_read` is not
    stored: it holds the bytes that the transaction was read from, and is empty for a new one. Times are in seconds
    since the epoch.
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
    other_user: bool = False
    provider_state: str = ""
    provider_nonce: str = ""
    provider_verifier: str = ""
    answers: tuple[ScopeChoice, ...] = ()
    remember: bool = False
    purpose_of_use: str = ""
    as_read: bytes = field(default=b"", compare=False, repr=False)

    def with_context(self, **changes: str | None) -> "Transaction":
        """A copy with another patient or encounter in its context."""
        return replace(self, context=replace(self.context, **changes))  # type: ignore[arg-type]  # ids only

    def without_choices(self) -> "Transaction":
        """A copy as it was before a patient or an encounter was chosen; the context of a launch stays."""
        original = self if self.patient_of_launch else self.with_context(patient=None, encounter=None)
        return replace(original, patient_name="", patient_detail="", offered=(), encounter_settled=False)

    def without_user(self) -> "Transaction":
        """A copy as it was before the user signed in, without anything that the user chose."""
        return replace(
            self.without_choices(),
            user=None,
            session_id=None,
            signed_in_at=None,
            signed_in_here=False,
            several_patients=False,
            answers=(),
            remember=False,
            purpose_of_use="",
        )

    @property
    def can_change_patient(self) -> bool:
        """Whether the patient was chosen in a picker that offered others."""
        return self.several_patients and not self.patient_of_launch and self.context.patient is not None


class Outcome(StrEnum):
    """How an authorization request ended."""

    CONNECTED = "connected"
    """The app received a code."""
    DECLINED = "declined"
    """The user agreed to nothing, or did not sign in."""
    FAILED = "failed"
    """The app was told an error."""


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """What remains of a transaction that has ended, for the page to which the browser's back button leads."""

    browser: str
    client_id: str
    redirect_uri: str
    outcome: Outcome


class Transactions:
    """All transactions in progress, and for a while how they ended."""

    def __init__(self, store: Store, lifetime: float) -> None:
        """`lifetime` is in seconds, counted from the last change; until somebody signs in, from the start."""
        self._store = store
        self._lifetime = lifetime

    async def put(self, transaction: Transaction) -> Transaction | None:
        """Store the transaction in place of the one that was read. Return it as it is stored now.

        Return None if it was finished or changed since it was read, so that a slow page undoes neither. A look at a
        request in which nobody has signed in does not prolong it: anyone may look.
        """
        key = _transaction_key(transaction.transaction_id)
        data = encode(replace(transaction, as_read=b""))
        if data == transaction.as_read and transaction.user is None:
            return transaction
        if not transaction.as_read:
            await self._store.put(key, data, self._lifetime)
        elif not await self._store.replace(key, transaction.as_read, data, self._lifetime):
            return None
        return replace(transaction, as_read=data)

    async def get(self, transaction_id: str) -> Transaction | None:
        """The transaction as it is stored."""
        data = await self._store.get(_transaction_key(transaction_id))
        transaction = decode(data, Transaction)
        return None if data is None or transaction is None else replace(transaction, as_read=data)

    async def end(self, transaction: Transaction, outcome: Outcome) -> bool:
        """Remove the transaction, and keep how it ended. Of several callers, only one gets True: one consent makes one
        code."""
        key = digest(transaction.transaction_id)
        if await self._store.take(store_keys.TRANSACTION + key) is None:
            return False
        request = transaction.request
        answered = AnsweredRequest(transaction.browser, request.client_id, request.redirect_uri, outcome)
        await self._store.put(store_keys.ANSWERED_REQUEST + key, encode(answered), self._lifetime)
        return True

    async def get_answered(self, transaction_id: str) -> AnsweredRequest | None:
        """How a transaction ended, for as long as it might have lasted."""
        return decode(await self._store.get(store_keys.ANSWERED_REQUEST + digest(transaction_id)), AnsweredRequest)


def _transaction_key(transaction_id: str) -> str:
    return store_keys.TRANSACTION + digest(transaction_id)
