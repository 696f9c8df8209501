"""The words for what narrows a scope: dates, codes with the short name of their system, and other conditions."""

import re
from collections.abc import Sequence
from datetime import date

from gateway.languages.language import Language, gettext_noop
from gateway.scopes.constraint_value_syntax import split_alternatives, unescape
from gateway.scopes.labels import short_system_name
from gateway.scopes.model import Constraint

# The date parameters of the types that apps request, and what the date is the date of (R4 Search 3.1.1.4.7).
_DATE_PHRASES = {
    "date": "",
    "_lastUpdated": gettext_noop("last changed %(period)s"),
    "abatement-date": gettext_noop("over %(period)s"),
    "authored": gettext_noop("written %(period)s"),
    "authoredon": gettext_noop("written %(period)s"),
    "birthdate": gettext_noop("born %(period)s"),
    "created": gettext_noop("made %(period)s"),
    "death-date": gettext_noop("deceased %(period)s"),
    "issued": gettext_noop("issued %(period)s"),
    "onset-date": gettext_noop("begun %(period)s"),
    "period": gettext_noop("dated %(period)s"),
    "received": gettext_noop("received %(period)s"),
    "recorded-date": gettext_noop("recorded %(period)s"),
    "sent": gettext_noop("sent %(period)s"),
    "whenhandedover": gettext_noop("handed out %(period)s"),
}
_DATE = re.compile(
    r"(?P<prefix>eq|ne|gt|lt|ge|le|sa|eb|ap)?(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:T(?P<time>[0-9]{2}:[0-9]{2})(?P<seconds>:[0-9]{2}(?:\.[0-9]+)?)?(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?"
)
_PREFIX_PHRASES = {
    "gt": gettext_noop("after %(date)s"),
    "sa": gettext_noop("after %(date)s"),
    "lt": gettext_noop("before %(date)s"),
    "eb": gettext_noop("before %(date)s"),
    "ge": gettext_noop("from %(date)s on"),
    "le": gettext_noop("until %(date)s"),
    "ap": gettext_noop("around %(date)s"),
}
# By how exact the date is: to the year, to the month, to the day.
_WITHIN = (gettext_noop("in %(year)s"), gettext_noop("in %(month)s"), gettext_noop("on %(day)s"))
_NOT_WITHIN = (gettext_noop("not in %(year)s"), gettext_noop("not in %(month)s"), gettext_noop("not on %(day)s"))
_MONTHS = (
    gettext_noop("January"),
    gettext_noop("February"),
    gettext_noop("March"),
    gettext_noop("April"),
    gettext_noop("May"),
    gettext_noop("June"),
    gettext_noop("July"),
    gettext_noop("August"),
    gettext_noop("September"),
    gettext_noop("October"),
    gettext_noop("November"),
    gettext_noop("December"),
)
_IS = gettext_noop("%(name)s is %(values)s")
_MODIFIER_PHRASES = {
    None: _IS,
    "not": gettext_noop("%(name)s is not %(values)s"),
    "in": gettext_noop("%(name)s is in %(values)s"),
    "not-in": gettext_noop("%(name)s is not in %(values)s"),
    "text": gettext_noop("%(name)s contains %(values)s"),
    "contains": gettext_noop("%(name)s contains %(values)s"),
}
AND = gettext_noop("%(words)s and %(last)s")
"""How the last of several words is joined to the others; "or" and the like below."""
_OR = gettext_noop("%(words)s or %(last)s")
_AND_WHOSE = gettext_noop("%(words)s and whose %(last)s")
# A text with other characters is put in quotation marks, so that it cannot look like a part of the sentence.
_PLAIN = re.compile(r"[^\s\"'“”(),;]+")


def describe_constraints(constraints: Sequence[Constraint], language: Language) -> str:
    """What all constraints say together, to stand behind the records that they narrow."""
    dates = [(constraint, describe_date(constraint, language)) for constraint in constraints]
    others = [_describe_condition(constraint, language) for constraint, phrase in dates if phrase is None]
    condition = (
        language.gettext(" whose %(conditions)s", conditions=language.join(others, _AND_WHOSE)) if others else ""
    )
    periods = [phrase for _, phrase in dates if phrase is not None]
    if not periods:
        return condition
    return language.gettext("%(condition)s, %(periods)s", condition=condition, periods=language.join(periods, AND))


def describe_date(constraint: Constraint, language: Language) -> str | None:
    """The period that a constraint by a date means; None if it is not one that has words."""
    event = _DATE_PHRASES.get(constraint.name)
    if event is None or constraint.modifier is not None:
        return None
    periods = [_describe_period(unescape(value), language) for value in split_alternatives(constraint.value)]
    known = [period for period in periods if period is not None]
    if len(known) != len(periods):
        return None
    period = language.join(known, _OR)
    return language.gettext(event, period=period) if event else period


def _describe_period(value: str, language: Language) -> str | None:
    match = _DATE.fullmatch(value)
    if match is None:
        return None
    year, month, day = (int(match[name] or 1) for name in ("year", "month", "day"))
    try:
        date(year, month, day)
    except ValueError:
        return None
    words = _describe_day(match, language)
    if match["time"]:
        zone = match["zone"] or ""
        time = f"{match['time']}{match['seconds'] or ''}{' UTC' if zone == 'Z' else zone and f' (UTC{zone})'}"
        words = language.gettext("%(date)s at %(time)s", date=words, time=time)
    prefix = match["prefix"] or "eq"
    if prefix in _PREFIX_PHRASES:
        return language.gettext(_PREFIX_PHRASES[prefix], date=words)
    exactness = bool(match["month"]) + bool(match["day"])
    phrases = _NOT_WITHIN if prefix == "ne" else _WITHIN
    return language.gettext(phrases[exactness], year=words, month=words, day=words)


def _describe_day(match: re.Match[str], language: Language) -> str:
    if not match["month"]:
        return match["year"]
    month = language.gettext(_MONTHS[int(match["month"]) - 1])
    if not match["day"]:
        return language.gettext("%(month)s %(year)s", month=month, year=match["year"])
    return language.gettext("%(day)s %(month)s %(year)s", day=int(match["day"]), month=month, year=match["year"])


def _describe_condition(constraint: Constraint, language: Language) -> str:
    is_kind = constraint.name == "_type"
    name = language.gettext("kind") if is_kind else constraint.name.lstrip("_").replace("-", " ")
    if constraint.modifier == "missing" and constraint.value in {"true", "false"}:
        is_missing = constraint.value == "true"
        phrase = gettext_noop("%(name)s is missing") if is_missing else gettext_noop("%(name)s is given")
        return language.gettext(phrase, name=name)
    phrase = _MODIFIER_PHRASES.get(constraint.modifier, _IS)
    if constraint.modifier not in _MODIFIER_PHRASES:
        name = f"{name}:{constraint.modifier}"
    values = [_describe_value(alternative, language) for alternative in split_alternatives(constraint.value)]
    return language.gettext(phrase, name=name, values=language.join(values, _OR))


def _describe_value(alternative: str, language: Language) -> str:
    """A value. Of a token, the code and the short name of its system."""
    if "\\" not in alternative:
        system, bar, code = alternative.partition("|")
        if bar and system and code and "|" not in code:
            return f"{_quote(code)} ({_quote(short_system_name(system), spaces=True)})"
        if bar and system and not code:
            return language.gettext("any code of %(system)s", system=_quote(short_system_name(system), spaces=True))
    return _quote(unescape(alternative))


def _quote(text: str, *, spaces: bool = False) -> str:
    plain = text.replace(" ", "") if spaces else text
    return text if _PLAIN.fullmatch(plain) else '"{}"'.format(text.replace('"', "'"))
