"""What is compared with what, and the goal of each: the table that `make bench` fills in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import assert_never

from bench.bodies import BUNDLE, FIRST_PAGE, HALF, LARGE_BUNDLE, LARGE_PAGE, PAGE, READ, SECOND_PAGE, bundle_of
from bench.envoy import Envoy, EnvoyWithBody, EnvoyWithPlainBody
from bench.ratios import Goal, Unit, at_least, costs_at_most
from bench.servers import Gateway, Hello, NginxProxy, Server
from bench.tokens import SCOPE, scopes

MANY_TOKENS = 10_000
FEW_CONNECTIONS = 4
"""For pages of thousands of entries: only dozens are answered in a run, and each one that is in flight at its end has
cost CPU without being counted."""


class Tokens(Enum):
    """How many distinct tokens the load carries."""

    ONE = 1
    MANY = MANY_TOKENS


@dataclass(frozen=True, slots=True)
class Load:
    """The requests of one side, and how many entries a right answer has (None: it is not a Bundle).

    With `follow` the load goes not to `path` but to where that link of its answer leads.
    """

    path: str
    entries: int | None = None
    scope: str = SCOPE
    tokens: Tokens = Tokens.ONE
    connections: int = 16
    follow: str | None = None
    unit: Unit = Unit.REQUEST

    @property
    def units(self) -> int:
        """What each answer counts for."""
        match self.unit:
            case Unit.REQUEST:
                return 1
            case Unit.ENTRY:
                assert self.entries, f"{self.path} has no entries to count by"
                return self.entries
            case _:
                assert_never(self.unit)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Two sides under their loads. With the same server class on both sides, one process serves both."""

    name: str
    peer_name: str
    ours: type[Server]
    peer: type[Server]
    load: Load
    peer_load: Load
    goal: Goal | None = None


_READ = Load(READ)
_BUNDLE = Load(BUNDLE, PAGE)
_HALF = Load(HALF, PAGE // 2)
_LARGE = Load(LARGE_BUNDLE, LARGE_PAGE)
_SEALED = Load(FIRST_PAGE, PAGE, follow="next")
_DIRECT = Load(SECOND_PAGE, PAGE)


def _beside(
    name: str, ours: type[Server], peer: type[Server], load: Load, goal: Goal | None = None, title: str | None = None
) -> Scenario:
    return Scenario(name, title or peer.name, ours, peer, load, load, goal)


def _against_itself(name: str, other: str, load: Load, other_load: Load, goal: Goal | None = None) -> Scenario:
    return Scenario(name, other, Gateway, Gateway, load, other_load, goal)


def _at(connections: int, name: str, load: Load) -> Scenario:
    return _beside(f"{name}-at-{connections}", Gateway, Envoy, replace(load, connections=connections))


def _growth(path: str, entries: int) -> Load:
    return Load(path, entries, connections=FEW_CONNECTIONS, unit=Unit.ENTRY)


SCENARIOS = (
    _beside("read-2kb", Gateway, Envoy, _READ, at_least(1.1)),
    _beside("bundle-60kb", Gateway, Envoy, _BUNDLE, at_least(0.55)),
    _beside("bundle-60kb", Gateway, EnvoyWithBody, _BUNDLE, at_least(4)),
    _beside("bundle-60kb", Gateway, EnvoyWithPlainBody, _BUNDLE),
    _against_itself("half-dropped", "all-passed", _HALF, _BUNDLE, at_least(0.7)),
    _against_itself("page-of-20", "asked-directly", _SEALED, _DIRECT),
    _against_itself("entries-500", "entries-20", _growth(bundle_of(500), 500), _growth(BUNDLE, PAGE)),
    _against_itself("entries-5000", "entries-20", _growth(bundle_of(5000), 5000), _growth(BUNDLE, PAGE)),
    _against_itself("scopes-20", "scopes-1", Load(READ, scope=scopes(20)), _READ),
    _against_itself("scopes-200", "scopes-1", Load(READ, scope=scopes(200)), _READ, costs_at_most(1.1)),
    _against_itself("tokens-10000", "tokens-1", Load(READ, tokens=Tokens.MANY), _READ, costs_at_most(1.1)),
    _beside("read-2kb", Gateway, Hello, _READ, at_least(0.40)),
    _beside("bundle-60kb", Gateway, Hello, _BUNDLE, at_least(0.20)),
    _beside("read-2kb", Gateway, NginxProxy, _READ),
    _beside("bundle-60kb", Gateway, NginxProxy, _BUNDLE),
    _beside("bundle-2mb", Gateway, Envoy, _LARGE),
    _at(1, "read-2kb", _READ),
    _at(64, "read-2kb", _READ),
    _at(1, "bundle-60kb", _BUNDLE),
    _at(64, "bundle-60kb", _BUNDLE),
)

CALIBRATION = (
    Scenario("envoy-read-2kb", "envoy-itself", Envoy, Envoy, _READ, _READ),
    _beside("nginx-read-2kb", NginxProxy, Envoy, _READ),
    _beside("nginx-bundle-60kb", NginxProxy, Envoy, _BUNDLE),
    _beside("hello-read-2kb", Hello, Envoy, _READ),
    _beside("envoy-bundle-60kb", Envoy, EnvoyWithBody, _BUNDLE),
    _beside("envoy-bundle-60kb", Envoy, EnvoyWithPlainBody, _BUNDLE),
)
"""Rows without the gateway: an instrument that compares Envoy with itself has to say 1."""

MEMORY = ("memory-idle", "memory-stream-200mb")

NAMES = tuple(dict.fromkeys([*(one.name for one in (*SCENARIOS, *CALIBRATION)), *MEMORY]))


def chosen(only: list[str], calibrate: bool) -> list[Scenario]:
    """The scenarios that a run measures: all of the gateway's, or those named (NAME or NAME:PEER)."""
    if not only:
        return list(CALIBRATION if calibrate else SCENARIOS)
    return [one for one in (*SCENARIOS, *CALIBRATION) if {one.name, f"{one.name}:{one.peer_name}"} & set(only)]
