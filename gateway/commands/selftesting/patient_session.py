"""A canary patient who is signed in, and the tokens that apps get from them."""

from dataclasses import dataclass
from typing import Any

from gateway.commands.selftesting.browser import Browser, Page
from gateway.commands.selftesting.check_results import CheckError
from gateway.commands.selftesting.smart_app import SmartApp, granted_token
from gateway.commands.selftesting.web import Answer


@dataclass(frozen=True, slots=True)
class PatientSession:
    """A user whose own record is the canary, in a browser."""

    browser: Browser
    username: str
    password: str

    def authorize(self, app: SmartApp, scope: str, **changes: str | None) -> Page:
        """The page where an authorization request ends, once the user has agreed to everything."""
        return self.browser.walk(app.authorization_url(scope, **changes), self.username, self.password)

    def request_code(self, app: SmartApp, scope: str, **changes: str | None) -> str:
        """A code. Raises `CheckError` if the app gets none."""
        page = self.authorize(app, scope, **changes)
        code = page.parameters.get("code")
        if code is None:
            error = page.parameters.get("error") or f"a page with the status {page.answer.status}"
            raise CheckError(f"the app got no code, but {error}", sent=f"GET {app.endpoints.authorize}")
        return code

    def request_tokens(self, app: SmartApp, scope: str, **changes: str | None) -> "Tokens":
        """The token response of an app. Raises `CheckError` if it gets none."""
        answer = app.exchange(self.request_code(app, scope, **changes))
        granted_token(answer)
        return Tokens(answer)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A token response."""

    answer: Answer

    def member(self, name: str) -> Any:
        """A member of it; None if there is none."""
        return self.answer.member(name)

    @property
    def access(self) -> str:
        """The access token."""
        return str(self.answer.member("access_token"))

    @property
    def bearer(self) -> dict[str, str]:
        """The headers of a FHIR request with it."""
        return {"authorization": f"Bearer {self.access}", "accept": "application/fhir+json"}

    @property
    def refresh(self) -> str:
        """The refresh token. Raises `CheckError` if there is none."""
        token = self.answer.member("refresh_token")
        if not isinstance(token, str):
            raise CheckError("there is no refresh token, although offline_access was granted", sent=self.answer.sent)
        return token

    @property
    def scopes(self) -> frozenset[str]:
        """What was granted."""
        return frozenset(str(self.answer.member("scope") or "").split())
