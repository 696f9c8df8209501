"""A site's rule denies whenever it does not work: when it fails, when it is slow, when it answers something else."""

import logging
import threading
from typing import Any

import pytest

from gateway.policy.permission.access import Access
from gateway.policy.permission.record_rule import BoundRule
from gateway.scopes.model import Letter
from gateway.site_rules.timed_rule import FAILED, SLOW, TimedRule
from tests.site_rules.sample_rules import FinalOnly, compute, compute_past_exceptions, fail, leave, rule, wait

ACCESS = Access("https://issuer.example", "app", "someone", (), 0.0)
RESOURCE = {"resourceType": "Observation", "id": "o", "status": "final", "note": [{"text": "x"}]}
READ = frozenset({Letter.READ})


def bind(timed: TimedRule, letters: frozenset[Letter] = READ) -> BoundRule:
    return timed.bind(ACCESS, letters)


def test_a_rule_gets_its_elements_and_decides_by_the_letter() -> None:
    timed = TimedRule("final", FinalOnly(), 1)
    assert bind(timed).elements == {"resourceType", "id", "status"}
    assert bind(timed).permits(RESOURCE)
    assert not bind(timed, frozenset({Letter.UPDATE})).permits(RESOURCE)
    assert bind(timed, frozenset({Letter.UPDATE, Letter.SEARCH})).permits(RESOURCE)
    assert timed.failures == {SLOW: 0, FAILED: 0}


BROKEN: dict[str, tuple[Any, str]] = {
    "one that raises": (fail, FAILED),
    "one that ends the process": (leave, FAILED),
    "one that answers with something else": (lambda *_: "yes", FAILED),
    "one that answers nothing": (lambda *_: None, FAILED),
    "one that computes without an end": (compute, SLOW),
    "one that computes on past every exception": (compute_past_exceptions, SLOW),
    "one that waits": (wait, SLOW),
}


@pytest.mark.parametrize(("permits", "problem"), BROKEN.values(), ids=BROKEN)
def test_a_rule_that_does_not_work_denies_and_is_counted(
    permits: Any, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    timed = TimedRule("broken", rule(permits), 0.02)
    with caplog.at_level(logging.WARNING):
        assert not bind(timed).permits(RESOURCE)
        assert not bind(timed).permits(RESOURCE)
    assert timed.failures[problem] == 2
    assert len(caplog.records) == 1
    assert "must not be logged" not in caplog.text


def test_a_rule_works_in_another_thread_as_well() -> None:
    results: list[bool] = []
    timed = TimedRule("final", FinalOnly(), 1)
    thread = threading.Thread(target=lambda: results.append(bind(timed).permits(RESOURCE)))
    thread.start()
    thread.join()
    assert results == [True]


def test_what_a_rule_changes_is_changed_for_nobody_else() -> None:
    def change(_: Any, resource: Any, _letter: str) -> bool:
        resource["meta"]["security"].clear()
        return True

    resource = {"resourceType": "Observation", "meta": {"security": [{"code": "R"}]}}
    assert bind(TimedRule("changing", rule(change, "meta"), 1)).permits(resource)
    assert resource["meta"] == {"security": [{"code": "R"}]}
