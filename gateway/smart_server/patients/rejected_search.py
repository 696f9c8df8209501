"""A search of the pickers that is rejected: an error that says so, and never an empty list."""

from gateway.asgi.refusal import RequestRefused
from gateway.languages.language import gettext_noop
from gateway.oauth.errors import PageError, WayBack
from gateway.policy.refusal_texts import REFUSAL_TEXTS

_TRY_AGAIN = gettext_noop("Try again")


def is_rejected(refused: RequestRefused) -> bool:
    """Whether the search itself was not accepted, and will not be next time either."""
    return REFUSAL_TEXTS[refused.deny.reason].status < 500


def rejected_search(refused: RequestRefused, url: str) -> PageError:
    """The page of a rejected search. `url` is the page to search on again."""
    return PageError(
        refused.deny.reason.value,
        gettext_noop(
            "The health record system does not accept this search, so that nothing can be said of its result."
        ),
        title=gettext_noop("The search failed"),
        advice=gettext_noop(
            "Try other words, such as the family name alone. If it fails again, please tell those who run this service."
        ),
        way_back=WayBack(url, _TRY_AGAIN),
        status=502,
    )
