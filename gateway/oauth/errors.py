"""The errors of OAuth 2.0, OpenID Connect and SMART launch, and the three ways in which they are returned.

OAuthError                 returned as JSON by the token, introspection and revocation endpoints (RFC 6749 5.2)
AuthorizationError         an authorization request fails
├── PageError              shown to the user on a page: the redirect URI is not valid (RFC 6749 4.1.2.1)
└── RedirectError          sent to the app by a redirect
"""

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Registered error codes."""

    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    INVALID_GRANT = "invalid_grant"
    INVALID_SCOPE = "invalid_scope"
    INVALID_TARGET = "invalid_target"
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
    ACCESS_DENIED = "access_denied"
    LOGIN_REQUIRED = "login_required"
    CONSENT_REQUIRED = "consent_required"
    INTERACTION_REQUIRED = "interaction_required"
    SERVER_ERROR = "server_error"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"


class OAuthError(Exception):
    """An error response in JSON. `description` is for the app's developer, `detail` only for our log.

    `description` is ASCII without quotes and backslashes (RFC 6749 5.2). `basic` makes it a 401 with
    a Basic challenge, for failed Basic authentication. `retry_after`, in seconds, makes it a 429 (RFC 6585 4).
    """

    def __init__(
        self, code: ErrorCode, description: str, *, detail: str = "", basic: bool = False, retry_after: int = 0
    ) -> None:
        super().__init__(code.value)
        self.code = code
        self.description = sanitise_description(description)
        self.detail = detail
        self.basic = basic
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """The HTTP status. Test suites expect 401 only after failed Basic authentication (ER, edge case 66)."""
        if self.retry_after:
            return 429
        if self.code is ErrorCode.SERVER_ERROR:
            return 500
        if self.code is ErrorCode.TEMPORARILY_UNAVAILABLE:
            return 503
        return 401 if self.basic else 400


class AuthorizationError(Exception):
    """The authorization request cannot be granted."""


@dataclass(frozen=True, slots=True)
class WayBack:
    """The link that leads on from an error page."""

    href: str
    text: str


class PageError(AuthorizationError):
    """Shown on a page, without a redirect: client or redirect URI are not valid (A-3, A-4, edge cases 9-11)."""

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        title: str = "",
        advice: str = "",
        way_back: WayBack | None = None,
        status: int = 400,
        retry_after: int = 0,
    ) -> None:
        """`reason` is a stable code for log and page, `message` says to the user what happened, `advice` what to do.

        Every page links to the start page as well. A `status` below 400 is no refusal. `retry_after`, in seconds, makes
        it a 429 (RFC 6585 4). `app_name` is the app that the page is about, if it is known.
        """
        super().__init__(reason)
        self.reason = reason
        self.message = message
        self.title = title
        self.advice = advice
        self.way_back = way_back
        self.status = 429 if retry_after else status
        self.retry_after = retry_after
        self.app_name = ""


class RedirectError(AuthorizationError):
    """Sent to the app at its registered redirect URI."""

    def __init__(self, code: ErrorCode, description: str, *, redirect_uri: str, state: str | None) -> None:
        super().__init__(code.value)
        self.code = code
        self.description = sanitise_description(description)
        self.redirect_uri = redirect_uri
        self.state = state

    def parameters(self) -> list[tuple[str, str]]:
        """The parameters for the redirect URI, with `state` only if the request had one (edge case 16)."""
        pairs = [("error", self.code.value), ("error_description", self.description)]
        return pairs if self.state is None else [*pairs, ("state", self.state)]


def sanitise_description(description: str) -> str:
    """Replace characters that an `error_description` must not have by question marks (RFC 6749 5.2)."""
    return "".join(
        character if " " <= character <= "~" and character not in '"\\' else "?" for character in description[:400]
    )
