"""Loads the rules of a site by their names in the entry point group."""

from functools import cache
from importlib.metadata import entry_points

from gateway.site_rules.timed_rule import TimedRule

GROUP = "smart_fhir_gateway.rules"


class SiteRuleError(ValueError):
    """There is no such rule, or it cannot be used."""


@cache
def load_site_rule(name: str, seconds: float) -> TimedRule:
    """The rule, loaded once in this process. `seconds` is how long a judgement may take. Raises `SiteRuleError`."""
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise SiteRuleError(f"no installed package has an entry point {name!r} in the group {GROUP}")
    if len(found) > 1:
        raise SiteRuleError(f"several installed packages have an entry point {name!r} in the group {GROUP}")
    try:
        rule = next(iter(found)).load()
        elements = rule.elements
    except Exception as error:  # whatever the import of foreign code raises
        raise SiteRuleError(f"the rule {name!r} cannot be loaded: {type(error).__name__}") from error
    if isinstance(elements, str) or not all(isinstance(element, str) for element in elements):
        raise SiteRuleError(f"the rule {name!r} must have elements, a collection of names")
    if not callable(getattr(rule, "permits", None)):
        raise SiteRuleError(f"the rule {name!r} must have a function permits")
    return TimedRule(name, rule, seconds)
