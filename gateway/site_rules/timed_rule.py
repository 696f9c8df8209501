"""Carries out a site's rule: on a copy, for a limited time, and whatever goes wrong denies."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.policy.permission.access import Access
from gateway.policy.permission.record_rule import BoundRule
from gateway.scopes.model import Letter
from gateway.site_rules.site_rule import RuleAccess, SiteRule
from gateway.site_rules.time_limit import TimeLimitReached, call_within

_log = logging.getLogger(__name__)
_ALWAYS_READ = frozenset({"resourceType", "id"})
SLOW, FAILED = "slow", "failed"


class TimedRule:
    """A rule of a site. `failures` counts what it denied because it was slow or failed."""

    def __init__(self, name: str, rule: SiteRule, seconds: float) -> None:
        """`seconds` is how long one judgement may take."""
        self.name = name
        self._elements = frozenset(rule.elements) | _ALWAYS_READ
        self._permits: Callable[[RuleAccess, Mapping[str, Any], str], object] = rule.permits
        self._seconds = seconds
        self.failures = {SLOW: 0, FAILED: 0}

    def bind(self, access: Access, letters: frozenset[Letter]) -> BoundRule:
        """The rule for the token. Of several letters, one that it permits is enough, as with scopes."""
        said = RuleAccess(
            issuer=access.issuer,
            client_id=access.client_id,
            subject=access.subject,
            user=None if access.user is None else str(access.user),
            patient=access.patient,
            scope=access.scope_text,
            roles=access.roles,
            purposes_of_use=access.purposes_of_use,
        )
        names = sorted(letter.value for letter in letters)

        def permits(resource: Mapping[str, Any]) -> bool:
            return any(self._judge(said, resource, letter) for letter in names)

        return BoundRule(permits, self._elements, f"if the rule {self.name} permits it", may_fail=True)

    def _judge(self, access: RuleAccess, resource: Mapping[str, Any], letter: str) -> bool:
        started_at = time.perf_counter()
        try:
            # A copy: what the rule changes must not change what other rules and scopes are asked about.
            copy = orjson.loads(orjson.dumps({name: resource[name] for name in self._elements if name in resource}))
            result = call_within(self._seconds, lambda: self._permits(access, copy, letter))
        except TimeLimitReached:
            return self._deny(SLOW, None)
        except (Exception, SystemExit) as error:  # whatever foreign code raises denies
            return self._deny(FAILED, error)
        if time.perf_counter() - started_at > self._seconds:
            return self._deny(SLOW, None)
        if result is not True and result is not False:
            return self._deny(FAILED, TypeError("the result is not a bool"))
        return result

    def _deny(self, problem: str, error: BaseException | None) -> bool:
        """Count and deny. The text of an error is not logged, since it may quote the record."""
        self.failures[problem] += 1
        if self.failures[problem] == 1:
            fields = {"rule": self.name, "problem": problem, "error": type(error).__name__}
            _log.warning("a site's rule denies because it does not work; further ones are only counted", extra=fields)
        return False
