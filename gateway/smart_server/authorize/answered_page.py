"""What a browser sees that comes back to a request of an app which is over, such as by its back button."""

from urllib.parse import urlsplit

from gateway.languages.language import gettext_noop
from gateway.oauth.errors import PageError, WayBack
from gateway.storage.transactions import AnsweredRequest, Outcome

_TITLES = {
    Outcome.CONNECTED: gettext_noop("The app has been connected"),
    Outcome.DECLINED: gettext_noop("The app got no access"),
    Outcome.FAILED: gettext_noop("This request is over"),
}
_MESSAGES = {
    Outcome.CONNECTED: gettext_noop(
        "You have answered this request, and nothing more is needed here. You can close this page or go back to the "
        "app. If the app is still waiting, start again there."
    ),
    Outcome.DECLINED: gettext_noop(
        "You have answered this request, and nothing was shared. If you have changed your mind, start again in the app."
    ),
    Outcome.FAILED: gettext_noop("The app was told why it got no access. Go back to the app and start again there."),
}


def request_over() -> PageError:
    """The page of a request of which nothing is known here."""
    return PageError(
        "request_over",
        "This request is over, or was started in another browser.",
        title=gettext_noop("This request is over"),
        advice=gettext_noop("Go back to the app and start again there."),
    )


def already_answered(answered: AnsweredRequest, app_name: str, *, is_look: bool) -> PageError:
    """The page of a request that this browser has answered. A look at it is no error; a form that is sent again is."""
    error = PageError(
        "request_over",
        _MESSAGES[answered.outcome],
        title=_TITLES[answered.outcome],
        way_back=_site_of(answered.redirect_uri),
        status=200 if is_look else 400,
    )
    error.app_name = app_name
    return error


def _site_of(redirect_uri: str) -> WayBack | None:
    """The web site of the app, without the place to which codes are sent. A native app has none."""
    parts = urlsplit(redirect_uri)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    return WayBack(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/", gettext_noop("Go to the app"))
