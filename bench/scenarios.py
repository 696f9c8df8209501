"""The comparisons that `make bench` measures, each with its goal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import assert_never

from bench.bodies import (
    ABSOLUTE,
    BASE,
    BUNDLE,
    BUNDLED,
    ESCAPED,
    FIRST_PAGE,
    HALF,
    LARGE_BUNDLE,
    LARGE_PAGE,
    OBSERVATIONS,
    PAGE,
    PRETTY,
    READ,
    SECOND_PAGE,
    bundle_of,
)
from bench.envoy import Envoy, EnvoyWithBody, EnvoyWithPlainBody
from bench.nginx import NginxProxy
from bench.ratios import Goal, Unit, at_least, costs_at_most
from bench.servers import Gateway, Hello, RecordingGateway, Server
from bench.tokens import SCOPE, WRITE_SCOPE, make_scopes
from bench.written_bodies import batch_bodies, create_bodies, transaction_bodies, update_bodies

MANY_TOKENS = 10_000
FEW_CONNECTIONS = 4
"""For pages of thousands of entries, and for Bundles of requests: a run has few responses, and those in progress at its
end have cost CPU time without being counted."""


class Tokens(Enum):
    """How many distinct tokens the load carries."""

    ONE = 1
    MANY = MANY_TOKENS


class Write(Enum):
    """What is sent with a body."""

    UPDATE = "update"
    CREATE = "create"
    BATCH = "batch"
    TRANSACTION = "transaction"

    @property
    def method(self) -> str:
        """The HTTP method."""
        return "PUT" if self is Write.UPDATE else "POST"

    @property
    def bodies(self) -> list[tuple[str, str]]:
        """The paths and bodies that are sent in turn."""
        match self:
            case Write.UPDATE:
                return update_bodies()
            case Write.CREATE:
                return create_bodies()
            case Write.BATCH:
                return batch_bodies()
            case Write.TRANSACTION:
                return transaction_bodies()
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True)
class Load:
    """The requests of one side, and how many entries a correct response has (None: it is not a Bundle).

    With `follow`, the load does not go to `path` but to the target of that link in its response. With `write`, its
    bodies are sent in turn, the first of them to `path`. `round_trips` are those to the FHIR server, and `records` are
    read or written by each request.
    """

    path: str
    entries: int | None = None
    scope: str = SCOPE
    tokens: Tokens = Tokens.ONE
    connections: int = 16
    follow: str | None = None
    unit: Unit = Unit.REQUEST
    write: Write | None = None
    round_trips: int = 1
    records: int = 1

    @property
    def units(self) -> int:
        """The units of each response."""
        match self.unit:
            case Unit.REQUEST:
                return 1
            case Unit.ENTRY:
                assert self.entries, f"{self.path} has no entries to count by"
                return self.entries
            case Unit.ROUND_TRIP:
                return self.round_trips
            case Unit.RECORD:
                return self.records
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
_UPDATE = Load(READ, scope=WRITE_SCOPE, unit=Unit.ROUND_TRIP, write=Write.UPDATE, round_trips=2)
_CREATE = replace(_UPDATE, path=OBSERVATIONS, write=Write.CREATE)
_READ_BY_WRITER = replace(_UPDATE, write=None, round_trips=1)
_BATCH = Load(
    BASE,
    scope=WRITE_SCOPE,
    connections=FEW_CONNECTIONS,
    unit=Unit.RECORD,
    write=Write.BATCH,
    round_trips=BUNDLED,
    records=BUNDLED,
)
_TRANSACTION = replace(_BATCH, write=Write.TRANSACTION, round_trips=2)
_READ_OF_RECORD = replace(_READ_BY_WRITER, unit=Unit.RECORD)
_DIRECT = Load(SECOND_PAGE, PAGE)


def _compare(
    name: str, ours: type[Server], peer: type[Server], load: Load, goal: Goal | None = None, title: str | None = None
) -> Scenario:
    return Scenario(name, title or peer.name, ours, peer, load, load, goal)


def _compare_loads(name: str, other: str, load: Load, other_load: Load, goal: Goal | None = None) -> Scenario:
    return Scenario(name, other, Gateway, Gateway, load, other_load, goal)


def _compare_style(style: str, path: str) -> Scenario:
    return _compare_loads(f"bundle-60kb-{style}", "compact", Load(path, PAGE), _BUNDLE, costs_at_most(1.5))


def _with_connections(connections: int, name: str, load: Load) -> Scenario:
    return _compare(f"{name}-at-{connections}", Gateway, Envoy, replace(load, connections=connections))


def _growth(path: str, entries: int) -> Load:
    return Load(path, entries, connections=FEW_CONNECTIONS, unit=Unit.ENTRY)


SCENARIOS = (
    _compare("read-2kb", Gateway, Envoy, _READ, at_least(1.1)),
    _compare("bundle-60kb", Gateway, Envoy, _BUNDLE, at_least(0.55)),
    _compare("bundle-60kb", Gateway, EnvoyWithBody, _BUNDLE, at_least(4)),
    _compare("bundle-60kb", Gateway, EnvoyWithPlainBody, _BUNDLE),
    _compare_style("pretty", PRETTY),
    _compare_style("escaped", ESCAPED),
    _compare_style("absolute", ABSOLUTE),
    _compare_loads("half-dropped", "all-passed", _HALF, _BUNDLE, at_least(0.7)),
    _compare_loads("page-of-20", "asked-directly", _SEALED, _DIRECT),
    _compare_loads("entries-500", "entries-20", _growth(bundle_of(500), 500), _growth(BUNDLE, PAGE)),
    _compare_loads("entries-5000", "entries-20", _growth(bundle_of(5000), 5000), _growth(BUNDLE, PAGE)),
    _compare_loads("scopes-20", "scopes-1", Load(READ, scope=make_scopes(20)), _READ),
    _compare_loads("scopes-200", "scopes-1", Load(READ, scope=make_scopes(200)), _READ, costs_at_most(1.1)),
    _compare_loads("tokens-10000", "tokens-1", Load(READ, tokens=Tokens.MANY), _READ, costs_at_most(1.1)),
    _compare("read-2kb-recorded", RecordingGateway, Gateway, _READ, costs_at_most(2)),
    _compare("bundle-60kb-recorded", RecordingGateway, Gateway, _BUNDLE, costs_at_most(1.5)),
    _compare_loads("update-2kb", "two-reads", _UPDATE, _READ_BY_WRITER, costs_at_most(1.3)),
    _compare_loads("create-2kb", "two-reads", _CREATE, _READ_BY_WRITER),
    _compare_loads("batch-50-reads", "50-reads", _BATCH, _READ_OF_RECORD, at_least(0.9)),
    _compare_loads("transaction-50-creates", "50-reads", _TRANSACTION, _READ_OF_RECORD, costs_at_most(0.56)),
    _compare("read-2kb", Gateway, Hello, _READ, at_least(0.40)),
    _compare("bundle-60kb", Gateway, Hello, _BUNDLE, at_least(0.20)),
    _compare("read-2kb", Gateway, NginxProxy, _READ),
    _compare("bundle-60kb", Gateway, NginxProxy, _BUNDLE),
    _compare("bundle-2mb", Gateway, Envoy, _LARGE),
    _with_connections(1, "read-2kb", _READ),
    _with_connections(64, "read-2kb", _READ),
    _with_connections(1, "bundle-60kb", _BUNDLE),
    _with_connections(64, "bundle-60kb", _BUNDLE),
)

CALIBRATION = (
    Scenario("envoy-read-2kb", "envoy-itself", Envoy, Envoy, _READ, _READ),
    _compare("nginx-read-2kb", NginxProxy, Envoy, _READ),
    _compare("nginx-bundle-60kb", NginxProxy, Envoy, _BUNDLE),
    _compare("hello-read-2kb", Hello, Envoy, _READ),
    _compare("envoy-bundle-60kb", Envoy, EnvoyWithBody, _BUNDLE),
    _compare("envoy-bundle-60kb", Envoy, EnvoyWithPlainBody, _BUNDLE),
)
"""Rows without the gateway: the ratio of Envoy to itself must be 1."""

MEMORY = ("memory-idle", "memory-stream-200mb", "memory-upload-64mb", "memory-export-500mb")

NAMES = tuple(dict.fromkeys([*(scenario.name for scenario in (*SCENARIOS, *CALIBRATION)), *MEMORY]))


def select_scenarios(only: list[str], calibrate: bool) -> list[Scenario]:
    """The scenarios of a run: all of the gateway, or those named (NAME or NAME:PEER)."""
    if not only:
        return list(CALIBRATION if calibrate else SCENARIOS)
    return [
        scenario
        for scenario in (*SCENARIOS, *CALIBRATION)
        if {scenario.name, f"{scenario.name}:{scenario.peer_name}"} & set(only)
    ]
