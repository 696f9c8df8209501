"""What every way back from an OpenID provider has in common: who answered, what was decided, the page of failure."""

import logging

from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.errors import PageError
from gateway.oauth.parameters import Parameters
from gateway.telemetry.event import EventKind
from gateway.web.html.views import MessageView
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.provider_claims import SignedIn
from gateway.web.smart.provider_errors import SignInError, SignInReason
from gateway.web.smart.providers import Expected, SignInProvider
from gateway.web.smart.requests import page, remote_of

_log = logging.getLogger(__name__)
# What a person decided there, or what only a person could (OpenID Connect Core 3.1.2.6); the rest is trouble.
_DECISIONS = frozenset(
    {"access_denied", "login_required", "interaction_required", "consent_required", "account_selection_required"}
)
_MESSAGES = {
    SignInReason.UNAVAILABLE: "The place where you sign in does not answer as it should. Please try again in a minute.",
    SignInReason.REFUSED: "The place where you signed in did not complete the login. Please try again.",
    SignInReason.NOT_BELIEVED: "The answer of the place where you signed in cannot be trusted, and was not used.",
    SignInReason.NOT_FRESH: "The app asks for a new login, and the place where you signed in did not ask you anew.",
}


class ProviderPages:
    """The providers of the configuration, and what is shown of them."""

    def __init__(self, parts: SmartParts) -> None:
        self._parts = parts

    def provider(self, index: int) -> SignInProvider:
        """By its place in the configuration, which may have changed while somebody was there. Raises `PageError`."""
        if index >= len(self._parts.providers):
            raise PageError("provider_unknown", "There is no such place to sign in.")
        return self._parts.providers[index]

    async def arrival(
        self, index: int, request: Request, parameters: Parameters, expected: Expected
    ) -> SignedIn | None:
        """Who signed in; None where a person decided not to. Raises `PageError` and `SignInError`."""
        provider, now = self.provider(index), self._parts.clock()
        if request.path_params.get("place", 1) != index + 1:
            story = "the answer came to the address of another provider (RFC 9700 4.4)"
            raise SignInError(SignInReason.NOT_BELIEVED, story)
        await provider.check_sender(parameters.get("iss"), now)
        if "error" in parameters.values or "error" in parameters.repeated:
            told = parameters.get("error")
            if told not in _DECISIONS:
                story = f"{told!r}: {parameters.get('error_description')!r}"
                raise SignInError(SignInReason.REFUSED, f"the provider sent the browser back with {story}")
            _log.info("a login elsewhere was declined", extra={"error": told})
            return None
        code = parameters.get("code")
        if code is None:
            raise SignInError(SignInReason.NOT_BELIEVED, "the answer has no code, or more than one")
        return await provider.arrival(code, expected, now)

    def failed(self, error: SignInError, back: str, request: Request) -> Response:
        """The page of a login that came to nothing; `back` is where to try again."""
        _log.warning("a login elsewhere failed", extra={"reason": error.reason.value, "detail": error.detail})
        self._parts.tell(EventKind.SIGN_IN_FAILED, reason=error.reason.value, remote_address=remote_of(request))
        view = MessageView(
            title="You are not signed in",
            message=_MESSAGES[error.reason],
            reason=error.reason.value,
            link=back,
            link_text="Back to sign-in",
        )
        return page(view, frame_ancestors=self._parts.frame_ancestors, status=502)
