"""Records requests as the running gateway does, and decides them again under any rules."""

from collections.abc import Mapping

import msgspec

from gateway.fhir.request.parse_request import parse_request
from gateway.fhir.search.search_keys import ParameterDefinitions
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import Deny, NeedUserCompartments
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.policy.recording.record_request import Decided, record_request
from gateway.policy.recording.recorded_request import RecordedRequest
from gateway.policy.recording.replay_request import Policy, Replayed, Undecidable, recorded_scopes, replay_request

DEFINITIONS = ParameterDefinitions()
_JSON = {b"content-type": b"application/fhir+json"}


def reason_of(decision: object) -> Reason | None:
    """Why a request is refused, `permitted`, or None if it was not decided."""
    match decision:
        case Deny(reason):
            return reason
        case NeedUserCompartments():
            return None
        case _:
            return Reason.PERMITTED


def record(
    request: str, grant: Grant, body: bytes = b"", headers: Mapping[bytes, bytes] | None = None
) -> RecordedRequest:
    """What is recorded of a request, written as `GET /Path?query`, after it has passed through a file."""
    method, _, target = request.partition(" ")
    path, _, query = target.partition("?")
    given = {**(_JSON if body else {}), **(headers or {})}
    interaction = parse_request(method, path.encode(), query.encode(), given, body)
    decision = reason_of(decide(interaction, grant))
    decided = Decided(method, interaction, grant.access, grant, decision, None)
    recorded = record_request(decided, DEFINITIONS)
    return msgspec.json.decode(msgspec.json.encode(recorded), type=RecordedRequest)


def replay(recorded: RecordedRequest, rules: Rules) -> Replayed | Undecidable:
    """The decision under these rules, with the scopes that were granted."""
    return replay_request(recorded, Policy(rules), recorded_scopes(recorded))


def replayed_reason(recorded: RecordedRequest, rules: Rules) -> Reason | None:
    """As `reason_of`, of the request decided again."""
    replayed = replay(recorded, rules)
    return None if isinstance(replayed, Undecidable) else reason_of(replayed.decision)
