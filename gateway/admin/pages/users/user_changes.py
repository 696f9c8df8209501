"""What operators do with one user, each with the page that asks before: what it says, and what it carries out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.admin.pages.visit import USERS
from gateway.languages.language import gettext_noop
from gateway.smart_server.administration.users import ManagedUsers, UserSummary


@dataclass(frozen=True, slots=True)
class UserChange:
    """A change of one user. Its texts are English, and translated when they are shown.

    `title` has the value `name`. `effects` say what will happen, `notice` names what is said afterwards. `carry_out`
    gets the members that name the user, with `password` where the page `asks_for_password`. `leaves_them`: there is
    still a user afterwards.
    """

    name: str
    link: str
    title: str
    effects: tuple[str, ...]
    button: str
    notice: str
    carry_out: Callable[[ManagedUsers, Mapping[str, Any]], Awaitable[object]]
    fits: Callable[[UserSummary], bool]
    kind: Literal["main", "plain", "danger"] = "danger"
    leaves_them: bool = True
    asks_for_password: bool = False

    @property
    def path(self) -> str:
        """Where its page is."""
        return f"{USERS}/{self.name}"


_ENDS = (
    gettext_noop("All their sessions end at once: in every browser they have to sign in again."),
    gettext_noop("All access that they have granted to apps ends at once, with its tokens."),
)

END = UserChange(
    "end",
    gettext_noop("End sessions and access"),
    gettext_noop("End everything of %(name)s?"),
    (*_ENDS, gettext_noop("They may sign in again, and grant access again.")),
    gettext_noop("Yes, end it"),
    "user-ended",
    ManagedUsers.end,
    lambda _: True,
)
PASSWORD = UserChange(
    "password",
    gettext_noop("Set password"),
    gettext_noop("Set a new password for %(name)s?"),
    (gettext_noop("The password of now is void at once."), *_ENDS),
    gettext_noop("Yes, set it"),
    "password-set",
    ManagedUsers.set_password,
    lambda user: user.origin == "registration",
    "plain",
    asks_for_password=True,
)
DISABLE = UserChange(
    "disable",
    gettext_noop("Disable"),
    gettext_noop("Disable %(name)s?"),
    (gettext_noop("They cannot sign in until somebody enables them."), *_ENDS),
    gettext_noop("Yes, disable them"),
    "user-disabled",
    ManagedUsers.disable,
    lambda user: not user.disabled,
)
ENABLE = UserChange(
    "enable",
    gettext_noop("Enable"),
    gettext_noop("Enable %(name)s?"),
    (gettext_noop("They may sign in again."), gettext_noop("Sessions and access that have ended stay ended.")),
    gettext_noop("Yes, enable them"),
    "user-enabled",
    ManagedUsers.enable,
    lambda user: user.disabled,
    "main",
)
REMOVE = UserChange(
    "remove",
    gettext_noop("Remove"),
    gettext_noop("Remove %(name)s?"),
    (gettext_noop("The user is gone. The name may be given to somebody else."), *_ENDS),
    gettext_noop("Yes, remove them"),
    "user-removed",
    ManagedUsers.remove,
    lambda user: user.origin == "registration",
    leaves_them=False,
)
CHANGES = (ENABLE, END, PASSWORD, DISABLE, REMOVE)
