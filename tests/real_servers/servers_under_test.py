"""The servers under test, and the features that each of them lacks."""

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
_NOT_THERE = "It answers 404."

NEEDS_HAPI = pytest.mark.skipif(
    os.environ.get("SMART_GATEWAY_HAPI") != "1", reason="HAPI FHIR runs only with SMART_GATEWAY_HAPI=1 (make test-hapi)"
)


class Feature(StrEnum):
    """A feature that a server may lack. A test that needs it then only checks that nothing wrong is returned."""

    INCLUDE = "_include and _revinclude"
    CHAIN = "chained parameters"
    HAS = "_has"
    TYPE_HISTORY = "the history of a type"
    SYSTEM_HISTORY = "the history of the system"
    COMPARTMENT = "compartment search"
    SYSTEM_SEARCH = "search over several types"
    BARE_ID = "a reference parameter with an id alone"
    PAGES = "links to further pages"
    EVERYTHING = "$everything"
    VALIDATE = "$validate"
    DOCUMENT = "$document"
    TERMINOLOGY = "operations on terminologies"
    CONDITIONAL_DELETE = "conditional deletes"
    CONDITIONAL_BINARY_DELETE = "conditional deletes of Binary"


@dataclass(frozen=True)
class Upstream:
    """How a server is started, and the features that it lacks, with what it does instead.

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
        Feature.SYSTEM_SEARCH: _NO_SYSTEM_SEARCH,
        Feature.DOCUMENT: _NOT_THERE,
        Feature.TERMINOLOGY: _NOT_THERE,
        Feature.CONDITIONAL_BINARY_DELETE: "Its statement does not list the type.",
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
        Feature.EVERYTHING: _NOT_THERE,
        Feature.VALIDATE: _NOT_THERE,
        Feature.DOCUMENT: _NOT_THERE,
        Feature.TERMINOLOGY: _NOT_THERE,
        Feature.CONDITIONAL_DELETE: "It declares none.",
        Feature.CONDITIONAL_BINARY_DELETE: "It declares none.",
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
