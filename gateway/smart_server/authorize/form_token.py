"""The token of a form: it proves that the form is ours, and says what the page of the form showed.

Two tabs can be in one request, and an app or a user can change while a page is open. A form therefore counts only for
what its page showed. The token carries a digest of that, keyed by the secret of the request.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, fields

from gateway.languages.language import gettext_noop
from gateway.pages.views import ConsentSubject
from gateway.smart_server.authorize.consent_subject import consent_patient, consent_user
from gateway.smart_server.page_language import gettext
from gateway.storage.record_encoding import encode
from gateway.storage.transactions import Transaction

_PAGE_OUTDATED = gettext_noop("This page was out of date. Please look again.")
# In the order in which a change is reported.
_CHANGES = {
    "user": gettext_noop("Somebody else has signed in since you opened this page. Please look again."),
    "patient": gettext_noop("The patient has changed since you opened this page. Please look again."),
    "visit": gettext_noop("The visit has changed since you opened this page. Please look again."),
    "app": gettext_noop("The description of the app has changed since you opened this page. Please look again."),
    "offer": gettext_noop("What the app can be given has changed. Please look again."),
}


@dataclass(frozen=True, slots=True)
class PageSnapshot:
    """A digest of each thing that a page showed, by its name. The digests are keyed by the secret of the request."""

    digests: Mapping[str, str]

    def agrees_with(self, other: "PageSnapshot", *names: str) -> bool:
        """Whether both pages show the same things of these names."""
        return all(self.digests.get(name) == other.digests.get(name) for name in names)


def picker_snapshot(transaction: Transaction) -> PageSnapshot:
    """What the page shows on which a patient or a visit is chosen."""
    user = transaction.user
    shown = {"user": None if user is None else consent_user(user), "patient": consent_patient(transaction)}
    return _snapshot(transaction, shown)


def consent_snapshot(transaction: Transaction, subject: ConsentSubject) -> PageSnapshot:
    """What the consent page shows: each member of `subject`, whichever members there are."""
    return _snapshot(transaction, {member.name: getattr(subject, member.name) for member in fields(subject)})


def _snapshot(transaction: Transaction, shown: Mapping[str, object]) -> PageSnapshot:
    """The digests of what is shown, and of the identities behind it: two people may have one name."""
    context = transaction.context
    identities = {"user": transaction.user, "patient": context.patient, "visit": context.encounter}
    return PageSnapshot(
        {name: _digest(transaction, (identities.get(name), shown.get(name))) for name in {**identities, **shown}}
    )


def _digest(transaction: Transaction, value: object) -> str:
    return hmac.digest(transaction.csrf.encode(), encode(value), "sha256")[:16].hex()


def form_token(transaction: Transaction, snapshot: PageSnapshot) -> str:
    """The token: the secret of the request, and what the page shows."""
    return ".".join((transaction.csrf, *(f"{name}-{digest}" for name, digest in snapshot.digests.items())))


def is_form_token(token: str | None, transaction: Transaction) -> bool:
    """Whether the token is from a page of this request, whatever that page showed."""
    return token is not None and token.partition(".")[0] == transaction.csrf


def read_snapshot(token: str) -> PageSnapshot:
    """What the page of the form showed, as its token says. Empty for a token that says nothing."""
    pairs = (part.partition("-") for part in token.split(".")[1:])
    return PageSnapshot({name: digest for name, _, digest in pairs})


def describe_change(shown: PageSnapshot, current: PageSnapshot) -> str:
    """A sentence about what has changed since the page was shown. Empty if nothing has, so that its form counts."""
    if not shown.digests.get("user"):
        return gettext(_PAGE_OUTDATED)
    changed = [name for name in current.digests if not shown.agrees_with(current, name)]
    sentences = [sentence for name, sentence in _CHANGES.items() if name in changed]
    if sentences:
        return gettext(sentences[0])
    return gettext(_PAGE_OUTDATED) if changed else ""
