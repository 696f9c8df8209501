"""The callback from an OpenID provider: reads its response, and shows a page if the login failed."""

import logging
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from gateway.languages.language import gettext_noop
from gateway.oauth.errors import PageError
from gateway.oauth.parameters import Parameters
from gateway.pages.views import MessageView, PageLink
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_claims
from gateway.smart_server.http_messages import html_response, remote_address
from gateway.smart_server.openid_provider.id_token import ProviderLogin
from gateway.smart_server.openid_provider.openid_client import ExpectedResponse, OpenIdClient
from gateway.smart_server.openid_provider.provider_errors import ProviderLoginError, ProviderLoginReason
from gateway.smart_server.page_language import gettext
from gateway.telemetry.server_event import EventKind

_log = logging.getLogger(__name__)
# Errors that come from a decision of the user, or that only the user could prevent (OpenID Connect Core 3.1.2.6).
# All others are failures.
_USER_DECISIONS = frozenset(
    {"access_denied", "login_required", "interaction_required", "consent_required", "account_selection_required"}
)
_MESSAGES = {
    ProviderLoginReason.UNAVAILABLE: gettext_noop(
        "The sign-in service is not available. Please try again in a minute."
    ),
    ProviderLoginReason.REFUSED: gettext_noop("The sign-in service did not complete the login. Please try again."),
    ProviderLoginReason.NOT_TRUSTED: gettext_noop(
        "The response of the sign-in service cannot be trusted and was not used."
    ),
    ProviderLoginReason.DISABLED: gettext_noop("This account may not sign in here. Please ask your organisation."),
    ProviderLoginReason.NOT_FRESH: gettext_noop(
        "The app requires a new login, but the sign-in service used an earlier one."
    ),
}


class LoginCallback:
    """The configured providers, and what logins for apps and for the portal have in common."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    def provider(self, index: int) -> OpenIdClient:
        """The provider at `index` of the configuration, which may have changed during a login. Raises `PageError`."""
        if index >= len(self._dependencies.providers):
            raise PageError(
                "provider_unknown",
                "This sign-in service is not known here.",
                advice=gettext_noop("Please sign in another way."),
            )
        provider = self._dependencies.providers[index]
        note_claims(issuer=provider.issuer)
        return provider

    async def finish_login(
        self, index: int, request: Request, parameters: Parameters, expected: ExpectedResponse
    ) -> ProviderLogin | None:
        """The user who signed in, or None if the user declined. Raises `PageError` and `ProviderLoginError`."""
        provider, now = self.provider(index), self._dependencies.clock()
        if request.path_params.get("place", 1) != index + 1:
            detail = "the response came to the callback of another provider (RFC 9700 4.4)"
            raise ProviderLoginError(ProviderLoginReason.NOT_TRUSTED, detail)
        await provider.check_issuer(parameters.get("iss"), now)
        if "error" in parameters.values or "error" in parameters.repeated:
            error = parameters.get("error")
            if error not in _USER_DECISIONS:
                detail = f"the provider responded with {error!r}: {parameters.get('error_description')!r}"
                raise ProviderLoginError(ProviderLoginReason.REFUSED, detail)
            _log.info("a login at a provider was declined", extra={"error": error})
            self._dependencies.record_event(EventKind.DENIED, reason=error)
            return None
        code = parameters.get("code")
        if code is None:
            detail = "the response has no code, or more than one"
            raise ProviderLoginError(ProviderLoginReason.NOT_TRUSTED, detail)
        login = await provider.redeem_code(code, expected, now)
        user = await self._dependencies.users.admit(login.user)
        if user is None:
            raise ProviderLoginError(ProviderLoginReason.DISABLED, f"the user {login.user.subject} is disabled here")
        return replace(login, user=user)

    def failure_page(self, error: ProviderLoginError, sign_in_url: str, request: Request) -> Response:
        """The page of a failed login, with a link to the sign-in page."""
        _log.warning(
            "a login at a provider failed",
            extra={"reason": error.reason.value, "detail": error.detail, "remote": remote_address(request)},
        )
        self._dependencies.record_event(EventKind.SIGN_IN_FAILED, reason=error.reason.value)
        view = MessageView(
            title=gettext("You are not signed in"),
            message=gettext(_MESSAGES[error.reason]),
            reason=error.reason.value,
            links=(
                PageLink(sign_in_url, gettext("Back to sign-in")),
                PageLink(self._dependencies.start_page, gettext("Start page")),
            ),
        )
        status = 403 if error.reason is ProviderLoginReason.DISABLED else 502
        return html_response(view, pages=self._dependencies.pages, status=status)
