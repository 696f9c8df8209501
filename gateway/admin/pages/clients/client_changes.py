"""What operators do with one app, each with the page that asks before: what it says, and what it carries out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from gateway.admin.pages.visit import CLIENTS
from gateway.languages.language import gettext_noop
from gateway.smart_server.administration.clients import ClientDetails, ManagedClients


@dataclass(frozen=True, slots=True)
class ClientChange:
    """A change of one app. Its texts are English, and translated when they are shown.

    `title` has the value `name`. `effects` say what will happen. `notice` names what is said afterwards; where
    `carry_out` returns a secret, that is shown instead. `leaves_it`: there is still an app afterwards.
    """

    name: str
    link: str
    title: str
    effects: tuple[str, ...]
    button: str
    notice: str
    carry_out: Callable[[ManagedClients, str], Awaitable[str | None]]
    fits: Callable[[ClientDetails], bool]
    kind: Literal["main", "plain", "danger"] = "plain"
    is_review: bool = False
    leaves_it: bool = True

    @property
    def path(self) -> str:
        """Where its page is."""
        return f"{CLIENTS}/{self.name}"


_ENDS = (
    gettext_noop("All access that users have granted to it ends at once, with its tokens."),
    gettext_noop("What it has already copied stays with it."),
)

APPROVE = ClientChange(
    "approve",
    gettext_noop("Approve"),
    gettext_noop("Approve %(name)s?"),
    (
        gettext_noop("Users are no longer warned that nobody has reviewed the app."),
        gettext_noop("It may keep app state for its own web address, where that is switched on."),
        gettext_noop("Users rely on your review of its name, its purpose and its addresses: check them above."),
    ),
    gettext_noop("Yes, approve it"),
    "client-approved",
    ManagedClients.approve,
    lambda details: details.summary.self_registered,
    "main",
    is_review=True,
)
REFUSE = ClientChange(
    "refuse",
    gettext_noop("Refuse"),
    gettext_noop("Refuse %(name)s?"),
    (gettext_noop("The app is removed, and cannot ask users any more."), *_ENDS),
    gettext_noop("Yes, refuse it"),
    "client-removed",
    ManagedClients.remove,
    lambda details: details.summary.self_registered,
    "danger",
    is_review=True,
    leaves_it=False,
)
DISABLE = ClientChange(
    "disable",
    gettext_noop("Disable"),
    gettext_noop("Disable %(name)s?"),
    (gettext_noop("The app can neither ask users nor get tokens until somebody enables it."), *_ENDS),
    gettext_noop("Yes, disable it"),
    "client-disabled",
    ManagedClients.disable,
    lambda details: not details.summary.disabled,
    "danger",
)
ENABLE = ClientChange(
    "enable",
    gettext_noop("Enable"),
    gettext_noop("Enable %(name)s?"),
    (
        gettext_noop("The app may ask users again."),
        gettext_noop("Access that has ended stays ended: users are asked anew."),
    ),
    gettext_noop("Yes, enable it"),
    "client-enabled",
    ManagedClients.enable,
    lambda details: details.summary.disabled,
    "main",
)
ROTATE_SECRET = ClientChange(
    "secret",
    gettext_noop("New secret"),
    gettext_noop("Make a new secret for %(name)s?"),
    (
        gettext_noop("The secret of now is void at once: the app gets no tokens until it has the new one."),
        gettext_noop("The new secret is shown once, on the next page, and kept nowhere."),
        gettext_noop("Access that users have granted goes on."),
    ),
    gettext_noop("Yes, make a new secret"),
    "",
    ManagedClients.rotate_secret,
    lambda details: details.entry.get("type") == "confidential-symmetric",
)
REMOVE = ClientChange(
    "remove",
    gettext_noop("Remove"),
    gettext_noop("Remove %(name)s?"),
    (gettext_noop("The app and its registration are gone. Its client_id may be given to another app."), *_ENDS),
    gettext_noop("Yes, remove it"),
    "client-removed",
    ManagedClients.remove,
    lambda details: not details.summary.self_registered,
    "danger",
    leaves_it=False,
)
CHANGES = (APPROVE, REFUSE, ENABLE, ROTATE_SECRET, DISABLE, REMOVE)
