"""What has just been done: said once, on the page that follows a change, by way of a cookie that names it."""

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.languages.language import gettext_noop
from gateway.smart_server.page_language import gettext

_COOKIE = "smart-admin-done"
# Seconds. The browser follows the redirect at once.
_LIFETIME = 60
_VALUE = re.compile(r"([a-z-]{1,40})\.([0-9]{1,9})")

_TEXTS = {
    "client-registered": gettext_noop("The app was registered."),
    "client-approved": gettext_noop("The app was approved. Users are no longer warned of it."),
    "client-removed": gettext_noop("The app was removed, and all of its access has ended."),
    "client-disabled": gettext_noop("The app was disabled, and all of its access has ended."),
    "client-enabled": gettext_noop("The app was enabled."),
    "user-added": gettext_noop("The user was added."),
    "user-disabled": gettext_noop("The user was disabled, and all of their sessions and access have ended."),
    "user-enabled": gettext_noop("The user was enabled, and may sign in."),
    "user-removed": gettext_noop("The user was removed, and all of their sessions and access have ended."),
    "user-ended": gettext_noop("All sessions and access of the user have ended."),
    "password-set": gettext_noop("The password was set, and all sessions and access of the user have ended."),
    "session-ended": gettext_noop("The session has ended."),
    "grant-ended": gettext_noop("The access has ended."),
    "grants-ended": gettext_noop("Access that has ended: %(count)s."),
    "keys-rotated": gettext_noop("A new key was made. It is published now, and signs in an hour."),
    "keys-replaced": gettext_noop("A new key signs from now on. All others are void."),
    "configuration-reloaded": gettext_noop("The configuration was read again, and is in force everywhere."),
    "configuration-unchanged": gettext_noop("The configuration was read again. Nothing in it has changed."),
    "configuration-rolled-back": gettext_noop("The earlier configuration is in force again."),
}


@dataclass(frozen=True, slots=True)
class Notices:
    """Sets and reads the cookie. Another site can neither set it nor have it sent."""

    uses_https: bool

    def set(self, response: Response, name: str, count: int = 0) -> None:
        """Let the next page say it."""
        response.set_cookie(
            self._name,
            f"{name}.{count}",
            max_age=_LIFETIME,
            path="/",
            secure=self.uses_https,
            httponly=True,
            samesite="strict",
        )

    def read(self, request: Request) -> str:
        """What the page is to say, in its language; empty for nothing."""
        match = _VALUE.fullmatch(request.cookies.get(self._name, ""))
        if match is None or match[1] not in _TEXTS:
            return ""
        return gettext(_TEXTS[match[1]], count=int(match[2]))

    def forget(self, response: Response) -> None:
        """It is said only once."""
        response.delete_cookie(self._name, path="/", secure=self.uses_https, httponly=True, samesite="strict")

    @property
    def _name(self) -> str:
        return f"__Host-{_COOKIE}" if self.uses_https else _COOKIE
