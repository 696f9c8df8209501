"""Rules as a site could write them, good and bad."""

import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from gateway.site_rules import load
from gateway.site_rules.site_rule import RuleAccess


class FinalOnly:
    """Shows only what is final, and changes only what is not."""

    elements = ("status",)

    @staticmethod
    def permits(access: RuleAccess, resource: Mapping[str, Any], letter: str) -> bool:
        """By the letter."""
        assert set(resource) <= {"resourceType", "id", "status"}
        return (resource.get("status") == "final") is (letter in "rs")


def rule(permits: Callable[[RuleAccess, Any, str], Any], *elements: str) -> Any:
    """A rule with this function."""
    return type("Rule", (), {"elements": elements, "permits": staticmethod(permits)})


def compute(_: RuleAccess, _resource: Any, _letter: str) -> bool:
    """Computes without an end."""
    while True:
        pass


def compute_past_exceptions(_: RuleAccess, _resource: Any, _letter: str) -> bool:
    """Computes without an end, and takes every exception for its own."""
    while True:
        with contextlib.suppress(Exception):
            sum(range(1000))


def wait(_: RuleAccess, _resource: Any, _letter: str) -> bool:
    """Waits, which a rule must not do."""
    time.sleep(0.03)
    return True


def fail(_: RuleAccess, _resource: Any, _letter: str) -> bool:
    """Fails."""
    raise LookupError("a name that must not be logged")


def leave(_: RuleAccess, _resource: Any, _letter: str) -> bool:
    """Would end the process."""
    sys.exit(1)


def install(monkeypatch: pytest.MonkeyPatch, **names: str) -> None:
    """Offer entry points by their names, in place of those of installed packages."""
    offered = EntryPoints(EntryPoint(name, value, load.GROUP) for name, value in names.items())
    monkeypatch.setattr(load, "entry_points", offered.select)
    load.load_site_rule.cache_clear()
