"""What telemetry is told of one request: facts about a decision, never a token, a body or the value of a parameter."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import assert_never

import msgspec

from gateway.fhir import interaction as fhir
from gateway.policy.access import Access
from gateway.policy.reasons import Reason
from gateway.scopes.resource_types import RESOURCE_TYPES

_NONE: Mapping[str, int] = MappingProxyType({})

# Stands for the type of a resource that R4 does not know: its name is the upstream's own text, and unbounded.
OTHER = "other"


# A Struct, because one is made per request: a frozen dataclass of this size takes three times as long.
class Observation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request and its decision.

    `at` is when it arrived, in seconds since the epoch. `duration_seconds` is the whole time to the end of the answer,
    `upstream_seconds` the part spent waiting for the FHIR server, None where nothing was sent. `access` is what the
    token said. `dropped` and `narrowing_misses` count by resource type. `token_cached` is None where none was looked
    up. `response_bytes` is 0 for an answer that is streamed.
    """

    at: float
    decision_id: str
    request_id: str
    method: str
    reason: Reason
    status: int
    duration_seconds: float
    interaction: fhir.Interaction | None = None
    upstream_seconds: float | None = None
    access: Access | None = None
    remote_address: str | None = None
    token_cached: bool | None = None
    kept: int = 0
    dropped: Mapping[str, int] = _NONE
    narrowing_misses: Mapping[str, int] = _NONE
    response_bytes: int = 0
    streamed: bool = False


def interaction_name(interaction: fhir.Interaction | None) -> str:
    """The code of FHIR's restful-interaction value set; words of our own where that has none, `none` for no request."""
    match interaction:
        case None:
            return "none"
        case fhir.Read():
            return "read"
        case fhir.TypeSearch():
            return "search-type"
        case fhir.VRead():
            return "vread"
        case fhir.InstanceHistory():
            return "history-instance"
        case fhir.TypeHistory():
            return "history-type"
        case fhir.SystemHistory():
            return "history-system"
        case fhir.CompartmentSearch():
            return "search-compartment"
        case fhir.SystemSearch():
            return "search-system"
        case fhir.Page():
            return "page"
        case fhir.Capabilities():
            return "capabilities"
        case fhir.Write(kind=kind):
            return kind.value
        case fhir.BundlePost():
            return "bundle"
        case fhir.Operation():
            return "operation"
    assert_never(interaction)


def resource_type(interaction: fhir.Interaction | None) -> str | None:
    """The type that a request names; None where it names none. `*` is a compartment search for every type."""
    return getattr(interaction, "resource_type", None)


def by_known_type(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by resource type, those of types that R4 does not know together under `other`."""
    known: dict[str, int] = {}
    for name, count in counts.items():
        label = name if name in RESOURCE_TYPES else OTHER
        known[label] = known.get(label, 0) + count
    return known
