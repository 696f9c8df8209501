"""The metrics of requests and events: each counts what its name says."""

from importlib.metadata import version
from typing import Any, get_args

import pytest

from gateway.fhir.request import interaction as fhir
from gateway.fhir.request.export_parameters import ExportParameters
from gateway.fhir.request.interaction_name import interaction_name
from gateway.policy.reasons import Reason
from gateway.policy.shadow.shadow_outcome import ShadowOutcome
from gateway.smart_server.limits.guess_limits import ADMINISTRATOR, CLIENT, LAUNCHER, LOCAL_USER, OPERATOR
from gateway.smart_server.limits.request_limits import LimitedRequest
from gateway.telemetry.labels import MAX_CLIENTS, requested_type
from gateway.telemetry.metric_types import BUCKETS
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.server_event import LIMITS, REQUESTS_IN_PROGRESS, EventKind, ServerEvent
from tests.telemetry.metric_samples import samples_of
from tests.telemetry.request_records import access, request_record


def test_a_request_is_counted_by_what_it_asks_and_how_it_ended() -> None:
    metrics = Metrics()
    for status in (200, 201, 404):
        metrics.add_request(request_record(status=status))
    metrics.add_request(request_record(interaction=None, method="BREW", status=999))
    assert samples_of(metrics, "smart_gateway_requests_total") == {
        ("search-type", "GET", "2xx"): 2,
        ("search-type", "GET", "4xx"): 1,
        ("none", "other", "other"): 1,
    }


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_counted_and_stands_there_before_its_first_time(reason: Reason) -> None:
    metrics = Metrics()
    assert f'smart_gateway_decisions_total{{reason="{reason}"}} 0.0' in metrics.exposition_text().decode()
    metrics.add_request(request_record(reason=reason))
    assert samples_of(metrics, "smart_gateway_decisions_total") == {(reason.value,): 1}


def test_narrowing_misses_and_dropped_entries_are_counted_by_type() -> None:
    metrics = Metrics()
    metrics.add_request(request_record(dropped={"Condition": 2, "Observation": 1}, narrowing_misses={"Condition": 1}))
    metrics.add_request(request_record(dropped={"Condition": 3}, narrowing_misses={}, withheld={"Condition": 2}))
    assert samples_of(metrics, "smart_gateway_dropped_entries_total") == {("Condition",): 5, ("Observation",): 1}
    assert samples_of(metrics, "smart_gateway_narrowing_misses_total") == {("Condition",): 1}
    assert samples_of(metrics, "smart_gateway_withheld_entries_total") == {("Condition",): 2}


def test_requests_in_shadow_mode_are_counted_by_what_enforcement_would_have_done() -> None:
    metrics = Metrics()
    outcomes = (
        None,
        ShadowOutcome(),
        ShadowOutcome(Reason.OUT_OF_REACH),
        ShadowOutcome(dropped={("Observation", Reason.OUT_OF_REACH): 3}),
        ShadowOutcome(left_out=("_include",)),
        ShadowOutcome(rewritten=("patient",)),
    )
    for outcome in outcomes:
        metrics.add_request(request_record(shadow=outcome))
    assert samples_of(metrics, "smart_gateway_shadow_requests_total") == {
        ("unchanged",): 2, ("refused",): 1, ("shortened",): 2,
    }  # fmt: skip


def test_a_hostile_server_cannot_make_up_labels() -> None:
    metrics = Metrics()
    metrics.add_request(
        request_record(dropped={f"Made-up-{n}": 1 for n in range(100)}, narrowing_misses={'"} 1\nevil 1': 1})
    )
    assert samples_of(metrics, "smart_gateway_dropped_entries_total") == {("other",): 100}
    assert samples_of(metrics, "smart_gateway_narrowing_misses_total") == {("other",): 1}


def test_time_spent_waiting_and_our_own_are_told_apart() -> None:
    metrics = Metrics()
    metrics.add_request(request_record(duration_seconds=0.5, upstream_seconds=0.25))
    metrics.add_request(request_record(duration_seconds=0.125, upstream_seconds=None))
    assert samples_of(metrics, "smart_gateway_upstream_duration_seconds_sum") == {(): 0.25}
    assert samples_of(metrics, "smart_gateway_upstream_duration_seconds_count") == {(): 1}
    assert samples_of(metrics, "smart_gateway_overhead_seconds_sum") == {(): 0.375}
    assert samples_of(metrics, "smart_gateway_overhead_seconds_count") == {(): 2}


def test_clocks_that_disagree_make_no_negative_time() -> None:
    metrics = Metrics()
    metrics.add_request(request_record(duration_seconds=0.1, upstream_seconds=0.2))
    assert samples_of(metrics, "smart_gateway_overhead_seconds_sum") == {}


@pytest.mark.parametrize("bound", BUCKETS)
def test_a_bucket_holds_its_own_bound_and_all_below(bound: float) -> None:
    metrics = Metrics()
    for seconds in (bound, bound * 1.0001):
        metrics.add_request(request_record(duration_seconds=seconds, upstream_seconds=None))
    buckets = samples_of(metrics, "smart_gateway_overhead_seconds_bucket")
    assert buckets[(str(bound),)] == 1
    assert buckets[("+Inf",)] == 2
    assert list(buckets.values()) == sorted(buckets.values())


def test_tokens_found_in_the_cache_and_not() -> None:
    metrics = Metrics()
    for cached in (True, True, False, None):
        metrics.add_request(request_record(token_cached=cached))
    assert samples_of(metrics, "smart_gateway_token_cache_lookups_total") == {("hit",): 2, ("miss",): 1}


def test_bytes_and_streams() -> None:
    metrics = Metrics()
    metrics.add_request(request_record(response_bytes=1000))
    metrics.add_request(request_record(response_bytes=24, streamed=True))
    assert samples_of(metrics, "smart_gateway_response_bytes_total") == {(): 1024}
    assert samples_of(metrics, "smart_gateway_streamed_responses_total") == {(): 1}


def test_requests_are_timed_by_interaction() -> None:
    metrics = Metrics()
    metrics.add_request(request_record(duration_seconds=0.5, upstream_seconds=0.25))
    metrics.add_request(request_record(interaction=fhir.Read("Patient", "A"), duration_seconds=2.0))
    assert samples_of(metrics, "smart_gateway_request_duration_seconds_sum") == {("search-type",): 0.5, ("read",): 2.0}
    assert samples_of(metrics, "smart_gateway_request_duration_seconds_count") == {("search-type",): 1, ("read",): 1}


def test_decisions_are_counted_by_client_and_a_refused_token_names_none() -> None:
    metrics = Metrics()
    for reason in (Reason.PERMITTED, Reason.PERMITTED, Reason.SCOPE_INSUFFICIENT):
        metrics.add_request(request_record(reason=reason))
    metrics.add_request(request_record(access=None, reason=Reason.TOKEN_EXPIRED))
    assert samples_of(metrics, "smart_gateway_client_decisions_total") == {
        ("growth-chart", "permitted"): 2,
        ("growth-chart", "scope_insufficient"): 1,
        ("none", "token_expired"): 1,
    }


def test_many_clients_and_long_names_make_no_more_labels() -> None:
    metrics = Metrics()
    for number in range(MAX_CLIENTS + 50):
        metrics.add_request(request_record(access=access(client_id=f"{number}-" + "x" * 1000)))
    metrics.add_request(request_record(access=access(client_id="0-" + "x" * 1000)))
    counts = samples_of(metrics, "smart_gateway_client_decisions_total")
    assert (len(counts), counts["other", "permitted"]) == (MAX_CLIENTS + 1, 50)
    assert max(len(client) for client, _ in counts) == 200


def test_a_client_whose_name_is_not_valid_unicode_leaves_the_metrics_readable() -> None:
    metrics = Metrics()
    metrics.add_request(request_record(access=access(client_id='half a pair: \ud800 "\n')))
    assert samples_of(metrics, "smart_gateway_client_decisions_total") == {('half a pair: ? "\n', "permitted"): 1}


def test_responses_of_the_token_endpoint_and_limits_are_counted_by_a_known_reason() -> None:
    metrics = Metrics()
    for kind, reason in (
        (EventKind.TOKEN_ISSUED, None),
        (EventKind.TOKEN_REFUSED, "invalid_grant"),
        (EventKind.TOKEN_REFUSED, "issued"),
        (EventKind.TOKEN_REFUSED, "made up"),
        (EventKind.RATE_LIMITED, "token_requests"),
        (EventKind.RATE_LIMITED, "made up"),
        (EventKind.SIGNED_IN, "invalid_grant"),
    ):
        metrics.add_event(ServerEvent(kind=kind, at=0.0, reason=reason))
    assert samples_of(metrics, "smart_gateway_token_responses_total") == {
        ("issued",): 1, ("invalid_grant",): 1, ("other",): 2,
    }  # fmt: skip
    assert samples_of(metrics, "smart_gateway_limits_reached_total") == {("token_requests",): 1, ("other",): 1}


def test_every_limit_is_known_before_it_is_reached() -> None:
    kinds = (LOCAL_USER, CLIENT, LAUNCHER, OPERATOR, ADMINISTRATOR)
    guesses, requests = (f"{kind}_guesses" for kind in kinds), (limit.value for limit in LimitedRequest)
    assert {*guesses, *requests, REQUESTS_IN_PROGRESS} == set(LIMITS)
    text = Metrics().exposition_text().decode()
    assert all(f'smart_gateway_limits_reached_total{{limit="{limit}"}} 0.0' in text for limit in LIMITS)


def test_the_version_is_told() -> None:
    ((said, count),) = samples_of(Metrics(), "smart_gateway_build_info").items()
    assert count == 1
    assert version("smart-fhir-gateway") in said


def test_two_gateways_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.add_request(request_record())
    assert samples_of(second, "smart_gateway_response_bytes_total") == {}


INTERACTIONS: dict[type[Any], tuple[fhir.Interaction, str, str | None]] = {
    fhir.Read: (fhir.Read("Patient", "A"), "read", "Patient"),
    fhir.VRead: (fhir.VRead("Patient", "A", "1"), "vread", "Patient"),
    fhir.InstanceHistory: (fhir.InstanceHistory("Patient", "A"), "history-instance", "Patient"),
    fhir.TypeHistory: (fhir.TypeHistory("Patient"), "history-type", "Patient"),
    fhir.SystemHistory: (fhir.SystemHistory(), "history-system", None),
    fhir.TypeSearch: (fhir.TypeSearch("Patient"), "search-type", "Patient"),
    fhir.CompartmentSearch: (fhir.CompartmentSearch("Patient", "A", "*"), "search-compartment", "*"),
    fhir.SystemSearch: (fhir.SystemSearch(), "search-system", None),
    fhir.PagingLink: (fhir.PagingLink("sealed"), "page", None),
    fhir.Capabilities: (fhir.Capabilities(), "capabilities", None),
    fhir.Write: (fhir.Write(fhir.WriteKind.PATCH, "Patient", "A"), "patch", "Patient"),
    fhir.BatchOrTransaction: (fhir.BatchOrTransaction(fhir.BundleKind.BATCH, ()), "batch", None),
    fhir.Operation: (fhir.Operation(fhir.OperationLevel.TYPE, "validate", "Patient"), "operation", "Patient"),
    fhir.ExportKickoff: (fhir.ExportKickoff(fhir.ExportLevel.SYSTEM, ExportParameters()), "export", None),
    fhir.ExportStatus: (fhir.ExportStatus("sealed"), "export-status", None),
    fhir.ExportCancel: (fhir.ExportCancel("sealed"), "export-cancel", None),
    fhir.ExportFile: (fhir.ExportFile("sealed"), "export-file", None),
}


@pytest.mark.parametrize("kind", get_args(fhir.Interaction))
def test_every_interaction_has_a_name(kind: type[Any]) -> None:
    interaction, name, about = INTERACTIONS[kind]
    assert (interaction_name(interaction), requested_type(interaction)) == (name, about)
