"""The servers under test, and what each of them is known not to do: data that the tests read."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pytest

from tests.servers.hapi_server import start_hapi
from tests.servers.medplum_server import start_medplum
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet

_NO_SYSTEM_SEARCH = "It refuses a search without a type."

NEEDS_HAPI = pytest.mark.skipif(
    os.environ.get("SMART_GATEWAY_HAPI") != "1", reason="HAPI FHIR runs only with SMART_GATEWAY_HAPI=1 (make test-hapi)"
)


class Feature(StrEnum):
    """What a server may lack. A test that needs it then asks only that nothing wrong comes back."""

    INCLUDE = "_include and _revinclude"
    CHAIN = "chained parameters"
    HAS = "_has"
    TYPE_HISTORY = "the history of a type"
    SYSTEM_HISTORY = "the history of the system"
    COMPARTMENT = "compartment search"
    SYSTEM_SEARCH = "search over several types"
    BARE_ID = "a reference parameter with an id alone"
    PAGES = "links to further pages"
    CARE_TEAMS = "search for a CareTeam or a List by anything but its id"


@dataclass(frozen=True)
class Upstream:
    """How a server is started, and what it lacks, with the reasons.

    `absolute`: it stores absolute references to itself. `hard_to_find`: how the ids of resources end that it finds by
    some searches and should by all, so that nothing is said of them.
    """

    name: str
    start: Callable[[], Server]
    absolute: bool = False
    lacks: Mapping[Feature, str] = field(default_factory=dict)
    hard_to_find: tuple[str, ...] = ()


SEKMET = Upstream(
    "sekmet",
    start_sekmet,
    absolute=True,
    lacks={
        Feature.CARE_TEAMS: "It has no search parameter for these two types, and says so with 400.",
        Feature.SYSTEM_SEARCH: _NO_SYSTEM_SEARCH,
    },
)
SEKMET_ABSOLUTE = Upstream(
    "sekmet-absolute",
    lambda: start_sekmet(absolute_references=True),
    absolute=True,
    lacks=SEKMET.lacks,
)
MEDPLUM = Upstream(
    "medplum",
    start_medplum,
    lacks={
        Feature.COMPARTMENT: "It takes the path for an unknown one.",
        Feature.SYSTEM_SEARCH: _NO_SYSTEM_SEARCH,
        Feature.BARE_ID: "It compares references as text.",
        Feature.PAGES: "It answers one page.",
        Feature.INCLUDE: "Its repository in memory leaves them out without a word.",
        Feature.CHAIN: "It finds nothing by them.",
        Feature.HAS: "It finds nothing by it.",
        Feature.TYPE_HISTORY: "It answers 404.",
        Feature.SYSTEM_HISTORY: "It answers with an empty Bundle.",
    },
    # It compares references as text, the version in them as well.
    hard_to_find=("-versioned",),
)
_HAPI_LACKS = {
    Feature.COMPARTMENT: "It answers 400 not-supported.",
    Feature.SYSTEM_SEARCH: _NO_SYSTEM_SEARCH,
}
HAPI = Upstream("hapi-easy", start_hapi, lacks=_HAPI_LACKS)
HAPI_STRICT = Upstream("hapi-strict", lambda: start_hapi(strict=True), lacks=_HAPI_LACKS)

UPSTREAMS = [
    pytest.param(SEKMET, id=SEKMET.name, marks=pytest.mark.sekmet),
    pytest.param(SEKMET_ABSOLUTE, id=SEKMET_ABSOLUTE.name, marks=pytest.mark.sekmet),
    pytest.param(MEDPLUM, id=MEDPLUM.name),
    pytest.param(HAPI, id=HAPI.name, marks=[pytest.mark.hapi, NEEDS_HAPI]),
    pytest.param(HAPI_STRICT, id=HAPI_STRICT.name, marks=[pytest.mark.hapi, NEEDS_HAPI]),
]
