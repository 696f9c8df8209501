"""Login of local users with a password, within the limits on guesses."""

from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.credentials.token_refused import TokenRefused
from gateway.languages.language import gettext_noop
from gateway.oauth.authorization import User
from gateway.oauth.parameters import Parameters
from gateway.smart_server.cookies import Cookies
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_claims
from gateway.smart_server.http_messages import RETRY_SOON, remote_address, retry_later
from gateway.smart_server.limits.guess_limits import LOCAL_USER, Guess
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError, describe_wait
from gateway.smart_server.page_language import gettext
from gateway.telemetry.server_event import EventKind

_MAX_USERNAME_LENGTH = 200
_MAX_PASSWORD_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class LoginProblem:
    """Why nobody is signed in, in words for the page. `status` is its HTTP status, `retry_after` is in seconds."""

    text: str
    status: int = 200
    retry_after: int = 0

    def apply_to(self, response: Response) -> Response:
        """The page that shows the problem, with its status."""
        if self.retry_after:
            retry_later(response, self.status, self.retry_after)
        return response


_INCOMPLETE = LoginProblem(gettext_noop("Please enter your user name and your password."))
_WRONG = LoginProblem(gettext_noop("The user name or the password is not right."))
_BUSY = LoginProblem(
    gettext_noop("Many people are signing in just now. Please try again in a moment."), 503, RETRY_SOON
)


class PasswordLogin:
    """Checks user name and password of a posted login form."""

    def __init__(self, dependencies: Dependencies, cookies: Cookies) -> None:
        self._dependencies = dependencies
        self._cookies = cookies

    async def check_password(self, fields: Parameters, request: Request) -> User | LoginProblem:
        """The user, or the problem to show."""
        username, password = fields.get("username") or "", fields.get("password") or ""
        note_claims(typed_user=username)
        is_too_long = len(username) > _MAX_USERNAME_LENGTH or len(password) > _MAX_PASSWORD_LENGTH
        if not username or not password or is_too_long:
            return self._refuse(_INCOMPLETE, "incomplete")
        user: User | None = None

        async def verify() -> bool:
            nonlocal user
            user = await self._dependencies.users.authenticate(username, password)
            return user is not None

        address = remote_address(request)
        guess = Guess(LOCAL_USER, username, address, self._cookies.known_browser(request))
        try:
            await self._dependencies.limits.logins.check(guess, verify)
        except TooManyAttemptsError as error:
            text = gettext("Too many tries. Please wait %(time)s.", time=describe_wait(error.retry_after))
            return LoginProblem(text, 429, error.retry_after)
        except TokenRefused:
            return self._refuse(_BUSY, "temporarily_unavailable")
        if user is None:
            return self._refuse(_WRONG, "wrong_credentials")
        return user

    def _refuse(self, problem: LoginProblem, reason: str) -> LoginProblem:
        self._dependencies.record_event(EventKind.SIGN_IN_FAILED, reason=reason)
        return replace(problem, text=gettext(problem.text))
