"""The language of the page that answers the current request, and texts in it."""

import re
from contextvars import ContextVar
from datetime import UTC, datetime

from gateway.languages.language import ENGLISH, Language

_DATE = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")
_current: ContextVar[Language] = ContextVar("page_language", default=ENGLISH)


def current_language() -> Language:
    """The language that `use_language` was called with for this request."""
    return _current.get()


def use_language(language: Language) -> None:
    """Make the pages of this request speak the language."""
    _current.set(language)


def gettext(text: str, **values: object) -> str:
    """The text in the current language, with its values."""
    return _current.get().gettext(text, **values)


def format_date(date: str) -> str:
    """A date of FHIR as people write it. One without a day stays as it is."""
    match = _DATE.fullmatch(date)
    return date if match is None else gettext("%(year)s-%(month)s-%(day)s", **match.groupdict())


def format_time(seconds: float) -> str:
    """A time in seconds since the epoch, to the minute."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return gettext("%(date)s %(time)s UTC", date=format_date(f"{moment:%Y-%m-%d}"), time=f"{moment:%H:%M}")
