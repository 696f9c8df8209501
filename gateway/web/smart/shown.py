"""What the page of a form showed, told by the form's token: an answer to a page counts for what it showed alone."""

import hmac
from dataclasses import astuple, dataclass

from gateway.oauth.client import Client
from gateway.storage.records import encode
from gateway.storage.sessions import Transaction

_OUTDATED = "This page was out of date. Please look again."
_SINCE = "since you opened this page. Please look again."
_CHANGES = (
    ("user", f"Somebody else has signed in {_SINCE}"),
    ("patient", f"The patient has changed {_SINCE}"),
    ("visit", f"The visit has changed {_SINCE}"),
    ("app", f"What the app says of itself has changed {_SINCE}"),
    ("offered", "What the app can be given has changed. Please look again."),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page was about, each as a digest that is keyed by the request; empty where the page did not depend on it.

    Two tabs can be in one request: what is chosen in the one must not be what is agreed to in the other.
    """

    user: str = ""
    patient: str = ""
    visit: str = ""
    app: str = ""
    offered: str = ""


def picker_shown(transaction: Transaction) -> Shown:
    """What the page shows where a patient or a visit is chosen."""
    context = transaction.context
    return Shown(
        user=_digest(transaction, transaction.user),
        patient=_digest(transaction, (context.patient, transaction.patient_name, transaction.patient_detail)),
        visit=_digest(transaction, context.encounter),
    )


def consent_shown(transaction: Transaction, client: Client, offered: tuple[str, ...]) -> Shown:
    """What the consent page shows for these scopes."""
    step = picker_shown(transaction)
    app = _digest(transaction, (client.name, client.purpose, client.logo))
    return Shown(step.user, step.patient, step.visit, app, offered_shown(transaction, offered))


def offered_shown(transaction: Transaction, offered: tuple[str, ...]) -> str:
    """What the page shows of these scopes: its lines, in their order."""
    return _digest(transaction, offered)


def form_token(transaction: Transaction, shown: Shown) -> str:
    """The secret that proves a form to be our own, and what its page shows."""
    return ".".join((transaction.csrf, *astuple(shown)))


def is_own(token: str | None, transaction: Transaction) -> bool:
    """Whether the form is of a page of this request, whatever that showed."""
    return token is not None and token.partition(".")[0] == transaction.csrf


def read_shown(token: str) -> Shown:
    """What the form's page showed, as its token tells; nothing where it tells nothing."""
    return Shown(*token.split(".")[1:6])


def change(then: Shown, now: Shown) -> str:
    """What is not as the page showed it, as a sentence; empty where the answer to it counts."""
    if not then.user:
        return _OUTDATED
    changed = (
        sentence for name, sentence in _CHANGES if getattr(now, name) and getattr(then, name) != getattr(now, name)
    )
    return next(changed, "")


def _digest(transaction: Transaction, facts: object) -> str:
    return hmac.digest(transaction.csrf.encode(), encode(facts), "sha256")[:16].hex()
