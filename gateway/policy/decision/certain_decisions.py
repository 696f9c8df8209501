"""Decisions that hold under every configuration: what no scope grants is refused, and nobody else's record is shown.

They are tried with the rules of a configuration before it comes into force. A configuration that breaks one has met a
fault of the gateway, or of code that the site has added.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.fhir.request.interaction import Interaction
from gateway.fhir.request.parse_request import parse_request
from gateway.fhir.resources.resource import MalformedResourceError
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import Allow, Deny, ResourceFilter
from gateway.policy.judgement.judge_resource import judge_read_body
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.rules import Rules
from gateway.scopes.parse_scopes import parse_scopes

_READS = ("GET /Patient/A", "GET /Observation/1", "GET /Observation/1/_history", "GET /Observation", "GET /Patient")
_WRITES = ("PUT /Observation/1", "POST /Observation", "DELETE /Observation/1")
_JSON = {b"content-type": b"application/fhir+json"}
_OBSERVATION = '{"resourceType":"Observation","id":"1","status":"final"'
_LABORATORY = "patient/Observation.rs?category=laboratory"
_VITAL_SIGNS = '"category":[{"coding":[{"code":"vital-signs"}]}]'


@dataclass(frozen=True, slots=True)
class _Refused:
    """Requests that a token with these scopes is refused."""

    sentence: str
    scopes: str
    requests: tuple[str, ...]
    patient: str | None = "A"

    def holds(self, rules: Rules) -> bool:
        """Whether all of them are."""
        grant = _grant(self.scopes, self.patient, rules)
        return all(isinstance(decide(_parse(request), grant), Deny) for request in self.requests)


@dataclass(frozen=True, slots=True)
class _Hidden:
    """A resource that a token for patient A does not get, although the FHIR server sends it."""

    sentence: str
    scopes: str
    request: str
    body: str

    def holds(self, rules: Rules) -> bool:
        """Whether the read is refused, or the body is."""
        decision = decide(_parse(self.request), _grant(self.scopes, "A", rules))
        if isinstance(decision, Deny):
            return True
        if not isinstance(decision, Allow) or not isinstance(decision.response_filter, ResourceFilter):
            return False
        try:
            return judge_read_body(self.body.encode(), decision.response_filter)[1] is False
        except MalformedResourceError:
            return True


CERTAIN_DECISIONS: tuple[_Refused | _Hidden, ...] = (
    _Refused("a token without scopes reads and writes nothing", "", (*_READS, *_WRITES)),
    _Refused(
        "a token that only says who somebody is reads and writes nothing",
        "openid fhirUser launch launch/patient offline_access",
        (*_READS, *_WRITES),
    ),
    _Refused("a scope that cannot be read grants nothing", "patient/Observation.sr patient/*.read2", _READS),
    _Refused("a scope for writing does not read", "patient/*.cud user/*.cud system/*.cud", _READS),
    _Refused("a scope for reading does not write", "patient/*.rs user/*.rs system/*.rs", _WRITES),
    _Refused("a scope for one type does not reach another", "patient/Observation.cruds", ("GET /Condition/1",)),
    _Refused("a patient's scope without a patient reaches nothing", "patient/*.cruds", (*_READS, *_WRITES), None),
    _Refused("a user's scope without a user reaches nothing", "user/*.cruds", (*_READS, *_WRITES)),
    _Hidden("another patient is not shown", "patient/*.cruds", "GET /Patient/B", '{"resourceType":"Patient","id":"B"}'),
    _Hidden(
        "another patient's record is not shown",
        "patient/*.cruds",
        "GET /Observation/1",
        _OBSERVATION + ',"subject":{"reference":"Patient/B"}}',
    ),
    _Hidden("nobody's record is not shown", "patient/*.cruds", "GET /Observation/1", _OBSERVATION + "}"),
    _Hidden(
        "a record whose patient cannot be read is not shown",
        "patient/*.cruds",
        "GET /Observation/1",
        _OBSERVATION + ',"subject":{"reference":"Patient/A"},"subject":{"reference":"Patient/B"}}',
    ),
    _Hidden(
        "another record than the one that was asked for is not shown",
        "patient/*.cruds",
        "GET /Observation/2",
        _OBSERVATION + ',"subject":{"reference":"Patient/A"}}',
    ),
    _Hidden(
        "a record that a constraint excludes is not shown",
        _LABORATORY,
        "GET /Observation/1",
        _OBSERVATION + ',"subject":{"reference":"Patient/A"},' + _VITAL_SIGNS + "}",
    ),
)


def find_broken_decisions(rules: Rules) -> Iterator[str]:
    """The sentences of the decisions that do not hold under these rules."""
    for certain in CERTAIN_DECISIONS:
        if not certain.holds(rules):
            yield certain.sentence


def _grant(scopes: str, patient: str | None, rules: Rules) -> Grant:
    access = Access(
        issuer=rules.public_base,
        client_id="a-client-of-nobody",
        subject=None,
        scopes=parse_scopes(scopes).scopes,
        expires_at=0.0,
        patient=patient,
        scope_text=scopes,
    )
    return Grant(access, rules)


def _parse(request: str) -> Interaction:
    method, _, path = request.partition(" ")
    is_write = method in {"PUT", "POST"}
    body = (_OBSERVATION + ',"subject":{"reference":"Patient/A"}}').encode() if is_write else b""
    return parse_request(method, path.encode(), b"", _JSON if is_write else {}, body)
