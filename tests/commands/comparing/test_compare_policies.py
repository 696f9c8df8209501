"""Which decisions another configuration changes, by what differs between the two."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gateway.commands.comparing.compare_policies import ChangeKind, Comparison, compare_policies
from gateway.commands.comparing.example_requests import make_example_requests
from gateway.commands.comparing.recorded_file import RecordedRequests
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
from gateway.policy.recording.recorded_request import RecordedRequest
from gateway.settings.model import Settings
from tests.policy.grants import make_grant
from tests.policy.recording.replays import record

_ISSUER = "https://login.example.org"
_BASE = "https://fhir.example.org/r4"
_OWN = "https://fhir.example.org/auth"
_CALLBACK = "https://app.example.org/callback"


def settings(**changes: Any) -> Settings:
    """A configuration with one issuer, and an authorization server with two apps."""
    return Settings.model_validate(
        {
            "public_base_url": _BASE,
            "upstream": {"base_url": "http://fhir.internal:8080/fhir"},
            "issuers": [{"issuer": _ISSUER, "audiences": [_BASE], "jwks_url": f"{_ISSUER}/jwks"}],
            "smart_server": {"store": "redis://store", "clients": [client("chart", "patient/*.cruds user/*.rs")]},
            **changes,
        }
    )


def client(client_id: str, scopes: str) -> dict[str, Any]:
    return {"client_id": client_id, "name": client_id, "redirect_uris": [_CALLBACK], "scopes": scopes}


def clients(*entries: Mapping[str, Any]) -> dict[str, Any]:
    return {"store": "redis://store", "clients": list(entries)}


OLD = settings()


def request_of(request: str, scopes: str = "patient/*.cruds", *, issuer: str = _OWN, **options: Any) -> RecordedRequest:
    """A request as it is recorded under the old configuration, of the app `chart`."""
    rules = OLD.rules()
    shared = make_grant(scopes, **{"user": "Practitioner/p", **options})
    access = replace(shared.access, issuer=issuer, client_id="chart")
    body = options.pop("body", b"")
    return record(request, Grant(access, rules, shared.facts), body)


def compare(new: Settings, *requests: RecordedRequest) -> Comparison:
    return compare_policies(OLD, new, RecordedRequests(tuple((request, 2) for request in requests)))


_OBSERVATIONS = request_of("GET /Observation?code=1")
_CONDITIONS = request_of("GET /Condition")
_WRITE = request_of("PUT /Observation/1")
_BY_PRACTITIONER = request_of("GET /Observation", "user/*.rs", patient=None, user="Practitioner/p")

REFUSED, ALLOWED, NARROWED = ChangeKind.REFUSED, ChangeKind.ALLOWED, ChangeKind.NARROWED


@pytest.mark.parametrize(
    ("new", "request_of_app", "kind", "reason"),
    [
        pytest.param(
            settings(smart_server=clients(client("chart", "patient/Observation.rs"))), _CONDITIONS, REFUSED,
            Reason.SCOPE_INSUFFICIENT, id="a client may have fewer scopes",
        ),
        pytest.param(
            settings(smart_server=clients(client("other", "patient/*.rs"))), _CONDITIONS, REFUSED,
            Reason.TOKEN_INACTIVE, id="a client is gone",
        ),
        pytest.param(
            settings(smart_server=clients(client("chart", "patient/*.rs?category=laboratory"))), _OBSERVATIONS,
            NARROWED, Reason.PERMITTED, id="a client may have its scopes within a constraint",
        ),
        pytest.param(settings(writes={"allow": False}), _WRITE, REFUSED, Reason.WRITES_OFF, id="writes are off"),
        pytest.param(
            settings(smart_server={**clients(client("chart", "patient/*.cruds user/*.rs")),
                                   "user_scopes": {"Practitioner": "patient/Observation.rs"}}),
            _CONDITIONS, REFUSED, Reason.SCOPE_INSUFFICIENT, id="users may grant fewer scopes",
        ),
        pytest.param(
            settings(writes={"never": ["Observation"]}), _WRITE, REFUSED, Reason.WRITE_FORBIDDEN,
            id="a type is never written",
        ),
        pytest.param(
            settings(writes={"accept_races": True}), _WRITE, NARROWED, Reason.PERMITTED,
            id="another rule about what is written",
        ),
        pytest.param(
            settings(operations={"Patient/[id]/$everything": {"enabled": False}}),
            request_of("GET /Patient/A/$everything"), REFUSED, Reason.OPERATION_NOT_ALLOWED,
            id="an operation is switched off",
        ),
        pytest.param(
            settings(operations={"Observation/$lastn": {"enabled": True}}), request_of("GET /Observation/$lastn"),
            ALLOWED, Reason.PERMITTED, id="an operation is switched on",
        ),
        pytest.param(
            settings(operations={"Patient/[id]/$own": {"needs": ["Patient.r"], "answer": "judged",
                                                       "parameters": {"mine": "string"}}}),
            request_of("GET /Patient/A/$own?mine=x"), ALLOWED, Reason.PERMITTED,
            id="an operation is added, of which only the digest of the name was recorded",
        ),
        pytest.param(
            settings(compartments={"membership": "subject"}), _OBSERVATIONS, NARROWED, Reason.PERMITTED,
            id="fewer references make a record the patient's",
        ),
        pytest.param(
            settings(compartments={"practitioner_reach": "compartment"}), _BY_PRACTITIONER, NARROWED,
            Reason.PERMITTED, id="a practitioner reaches less",
        ),
        pytest.param(
            settings(compartments={"shared_types": ["Location"]}), request_of("GET /Organization/1"), REFUSED,
            Reason.TYPE_OUT_OF_REACH, id="a type is no longer shared",
        ),
        pytest.param(
            settings(record_rules={"security_labels": {"labels": ["R", "V"]}}), _OBSERVATIONS, NARROWED,
            Reason.PERMITTED, id="records with a label are withheld",
        ),
        pytest.param(
            settings(upstream={"base_url": "http://fhir.internal:8080/fhir", "compartment_search": True}),
            _OBSERVATIONS, NARROWED, Reason.PERMITTED, id="the server is asked in another way",
        ),
        pytest.param(
            settings(bulk_export={"allow": False}),
            request_of("GET /$export", "system/*.rs", patient=None, issuer=_ISSUER), REFUSED,
            Reason.OPERATION_NOT_ALLOWED, id="exports are off",
        ),
        pytest.param(
            settings(issuers=[], smart_server=clients()), request_of("GET /Patient/A", issuer=_ISSUER), REFUSED,
            Reason.TOKEN_ISSUER_UNKNOWN, id="an issuer is not trusted any more",
        ),
    ],
)  # fmt: skip
def test_a_change_of_the_configuration_shows(
    new: Settings, request_of_app: RecordedRequest, kind: ChangeKind, reason: Reason
) -> None:
    comparison = compare(new, request_of_app)
    assert [(change.kind, change.new.reason, count) for change, count in comparison.changes] == [(kind, reason, 2)]
    assert (comparison.unchanged, comparison.undecided, comparison.decided_otherwise) == (0, (), 0)


@pytest.mark.parametrize(
    ("new", "request_of_app"),
    [
        pytest.param(
            settings(smart_server=clients(client("chart", "patient/Observation.rs patient/Condition.s user/*.rs"))),
            _OBSERVATIONS, id="a scope that permits just the same is another one",
        ),
        pytest.param(settings(writes={"allow": False}), _OBSERVATIONS, id="a search when writes are off"),
        pytest.param(
            settings(smart_server=clients(client("chart", "patient/*.cruds"), client("new", "patient/*.rs"))),
            _OBSERVATIONS, id="another client is added",
        ),
        pytest.param(settings(writes={"allow": False}), request_of("POST /Observation", "patient/*.rs"),
                     id="a write that was refused for its scope is refused first for another reason"),
    ],
)  # fmt: skip
def test_what_makes_no_difference_to_a_request_does_not_show(new: Settings, request_of_app: RecordedRequest) -> None:
    changes = compare(new, request_of_app).changes
    assert [change.kind for change, _ in changes if change.kind is not ChangeKind.REASON] == []


@pytest.mark.parametrize(
    ("new", "request_of_app", "why"),
    [
        pytest.param(OLD, request_of("GET /?_page=abc"), "page", id="a paging link"),
        pytest.param(
            settings(writes={"never": ["Observation/7"]}), _WRITE, "names records", id="a rule about one record"
        ),
        pytest.param(
            settings(
                compartments={
                    "practitioner_reach": "panel",
                    "panel": [{"resource_type": "CareTeam", "parameter": "participant", "patient_element": "subject"}],
                }
            ),
            _BY_PRACTITIONER, "looked up", id="a reach that depends on the server",
        ),
        pytest.param(
            settings(writes={"allow": False}),
            RecordedRequest("none", "GET", "chart", _OWN, reason=Reason.PARAMETER_UNKNOWN), "could not be read",
            id="a request that could not be read",
        ),
    ],
)  # fmt: skip
def test_what_the_recording_does_not_say_is_told(new: Settings, request_of_app: RecordedRequest, why: str) -> None:
    comparison = compare(new, request_of_app)
    [(reason, count)] = comparison.undecided
    assert why in reason
    assert (count, comparison.changes, comparison.unchanged) == (2, (), 0)


def test_a_token_that_is_not_accepted_any_more_counts_whatever_it_asked_for() -> None:
    page = RecordedRequest("page", "GET", "chart", _OWN, decision=Reason.PERMITTED)
    [(change, count)] = compare(settings(smart_server=clients()), page, _OBSERVATIONS).changes
    assert (change.kind, change.request, change.new.reason, count) == (
        REFUSED,
        "every request",
        Reason.TOKEN_INACTIVE,
        4,
    )


def test_requests_that_were_recorded_under_another_configuration_are_counted() -> None:
    comparison = compare_policies(
        settings(writes={"allow": False}), settings(writes={"allow": False}), RecordedRequests(((_WRITE, 3),))
    )
    assert (comparison.decided_otherwise, comparison.unchanged) == (3, 3)


@pytest.mark.parametrize(
    "configuration",
    [
        pytest.param(OLD, id="with clients"),
        pytest.param(settings(smart_server=None), id="with an issuer alone"),
        pytest.param(settings(compartments={"practitioner_reach": "compartment"}), id="with a reach to look up"),
    ],
)
def test_a_configuration_changes_nothing_beside_itself(configuration: Settings) -> None:
    requests = make_example_requests(configuration, configuration)
    comparison = compare_policies(configuration, configuration, requests)
    assert comparison.changes == ()
    assert comparison.unchanged > 20


def test_requests_are_made_up_for_what_either_configuration_has() -> None:
    new = settings(
        smart_server=clients(client("chart", "patient/Condition.rs"), client("monitor", "user/Device.rs")),
        operations={"Observation/$lastn": {"enabled": True}},
    )
    comparison = compare_policies(OLD, new, make_example_requests(OLD, new))
    found = {(change.kind, change.client_id, change.request) for change, _ in comparison.changes}
    assert (REFUSED, "chart", "GET /Observation/id-3") in found
    assert (ALLOWED, "any client", "GET /Observation/$lastn") in found
    # A client that is new had no token before.
    assert (ALLOWED, "monitor", "every request") in found
