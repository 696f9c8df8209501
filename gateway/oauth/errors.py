"""The errors of OAuth 2.0, OpenID Connect and SMART launch, and the three ways in which one is told.

OAuthError                 answered as JSON by the token, introspection and revocation endpoints (RFC 6749 5.2)
AuthorizationError         the authorization endpoint cannot go on
├── PageError              told to the person on a page: nobody trustworthy to send them back to (RFC 6749 4.1.2.1)
└── RedirectError          told to the app by a redirect
"""

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
    """Speaks in three voices: `code` for the machine, `description` for the app's developer, `detail` for our log.

    `description` is ASCII without quotes and backslashes (RFC 6749 5.2). `basic` asks for a 401 that names the Basic
    scheme, as a failed Basic authentication must have it; `too_many` for a 429, where only waiting helps (RFC 6585 4).
    """

    def __init__(
        self, code: ErrorCode, description: str, *, detail: str = "", basic: bool = False, too_many: bool = False
    ) -> None:
        super().__init__(code.value)
        self.code = code
        self.description = told(description)
        self.detail = detail
        self.basic = basic
        self.too_many = too_many

    @property
    def status(self) -> int:
        """HTTP status: 401 only where Basic was tried; suites of the field want 400 for all else (ER, edge case 66)."""
        if self.too_many:
            return 429
        if self.code is ErrorCode.SERVER_ERROR:
            return 500
        if self.code is ErrorCode.TEMPORARILY_UNAVAILABLE:
            return 503
        return 401 if self.basic else 400


class AuthorizationError(Exception):
    """The authorization request cannot be granted."""


class PageError(AuthorizationError):
    """No redirect: the client or where it wants the answer is not to be trusted (A-3, A-4, edge cases 9-11)."""

    def __init__(self, reason: str, message: str) -> None:
        """`reason` is a stable word for log and page, `message` a plain sentence."""
        super().__init__(reason)
        self.reason = reason
        self.message = message


class RedirectError(AuthorizationError):
    """Told to the app at a redirect URI that is its own."""

    def __init__(self, code: ErrorCode, description: str, *, redirect_uri: str, state: str | None) -> None:
        super().__init__(code.value)
        self.code = code
        self.description = told(description)
        self.redirect_uri = redirect_uri
        self.state = state

    def parameters(self) -> list[tuple[str, str]]:
        """What is added to the redirect URI; no `state` where none came (edge case 16)."""
        pairs = [("error", self.code.value), ("error_description", self.description)]
        return pairs if self.state is None else [*pairs, ("state", self.state)]


def told(description: str) -> str:
    """The characters that an `error_description` may have (RFC 6749 5.2); others become a question mark."""
    return "".join(one if " " <= one <= "~" and one not in '"\\' else "?" for one in description)[:400]
