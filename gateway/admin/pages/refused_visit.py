"""Why a request to an admin page is not carried out, and the page that says so."""

import logging

from gateway.languages.language import gettext_noop
from gateway.oauth.errors import PageError
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.http_messages import RETRY_SOON
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError, describe_wait
from gateway.smart_server.openid_provider.provider_errors import ProviderLoginError
from gateway.smart_server.page_language import gettext
from gateway.storage.backends.store import StoreUnavailableError

_log = logging.getLogger(__name__)
_TITLES = {
    403: gettext_noop("This is not for you"),
    404: gettext_noop("There is nothing here"),
    409: gettext_noop("This is not possible now"),
    429: gettext_noop("Please wait a little"),
    500: gettext_noop("Something failed here"),
    503: gettext_noop("Please wait a little"),
}
# As the API of this port calls them.
_REASONS = {409: "conflict", 422: "invalid_configuration", 503: "temporarily_unavailable"}


class RefusedVisit(Exception):
    """The request is refused. `reason` is a stable code, `message` a sentence in the language of the page.

    `details` are sentences in English, as the services have them. `retry_after` is in seconds, and 0 for never.
    """

    def __init__(
        self, reason: str, message: str, *, status: int = 403, details: tuple[str, ...] = (), retry_after: int = 0
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = message
        self.status = status
        self.details = details
        self.retry_after = retry_after

    @property
    def title(self) -> str:
        """The heading of its page."""
        return gettext(_TITLES.get(self.status, gettext_noop("This cannot go on")))


def as_refusal(error: Exception, path: str) -> RefusedVisit:
    """What the page says about an error; one that nobody expects is logged. `path` is that of the request."""
    match error:
        case RefusedVisit():
            return error
        case AdminRequestError(status=404):
            message = gettext("What this page is about does not exist, or no longer.")
            return RefusedVisit("not_found", message, status=404, details=error.problems)
        case AdminRequestError():
            message = gettext("Nothing was changed. The gateway says:")
            reason = _REASONS.get(error.status, "invalid_request")
            return RefusedVisit(reason, message, status=error.status, details=error.problems)
        case PageError():
            return RefusedVisit(error.reason, gettext(error.message), status=error.status)
        case TooManyAttemptsError():
            message = gettext("Too many tries. Please wait %(time)s.", time=describe_wait(error.retry_after))
            return RefusedVisit("too_many_requests", message, status=429, retry_after=error.retry_after)
        case ProviderLoginError():
            message = gettext("The provider could not sign you in. Please try again.")
            return RefusedVisit(error.reason.value, message, status=400)
        case StoreUnavailableError():
            message = gettext("The store of the gateway does not answer. Please try again in a minute.")
            return RefusedVisit("store_unavailable", message, status=503, retry_after=RETRY_SOON)
    _log.error("an admin page failed", exc_info=error, extra={"path": path})
    message = gettext("Something failed here. The log of the gateway says what.")
    return RefusedVisit("internal_error", message, status=500)


def changed_meanwhile() -> RefusedVisit:
    """The refusal of a change of something that is not any more as the page showed it."""
    message = gettext("This has changed since the page was shown, and nothing was done. Please look again.")
    return RefusedVisit("conflict", message, status=409)
