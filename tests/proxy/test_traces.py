"""The spans of a FHIR request, as a receiver of OTLP gets them: what they are called, what they say, and what not."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.span_receiver import ReceivedSpan, SpanReceiver, span_receiver

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RECORDED, UNRECORDED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"
PATIENT = make_resource("Patient", "pat-a", name=[{"family": "Sensitive"}])
OBSERVATION = make_resource(
    "Observation", "obs-secret-1", status="final", code={"text": "hiv"}, subject={"reference": "Patient/pat-a"}
)


class Server:
    """A FHIR server with one patient, that remembers what it was told of traces."""

    def __init__(self) -> None:
        self.told: list[tuple[str | None, str | None]] = []
        self.status = 200

    def __call__(self, path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        self.told.append((headers.get("traceparent"), headers.get("tracestate")))
        if self.status != 200:
            return (self.status, {"resourceType": "OperationOutcome"}, {})
        if path == "Patient/pat-a":
            return (200, PATIENT, {})
        if path == "Observation/obs-secret-1":
            return (200, OBSERVATION, {})
        if path == "Observation/obs-b":
            return (200, OBSERVATION | {"id": "obs-b", "subject": {"reference": "Patient/pat-b"}}, {})
        return (200, bundle(OBSERVATION if path.startswith("Observation") else PATIENT), {}) if query else ABSENT


class Traced:
    """A gateway with traces, between its FHIR server and the receiver of its spans."""

    def __init__(self, gateway: RunningGateway, server: Server, receiver: SpanReceiver) -> None:
        self.gateway, self.server, self.receiver = gateway, server, receiver

    async def spans_of(
        self, path: str, scope: str | None = "patient/*.rs", **options: Any
    ) -> tuple[ReceivedSpan, list[ReceivedSpan]]:
        """The span of one request, and those of its steps."""
        before = sum(1 for span in self.receiver.spans if span.kind == "server")
        await self.gateway.request(path, scope, **options)
        span = (await self.receiver.wait_for_servers(before + 1))[-1]
        return span, self.receiver.children_of(span)


@asynccontextmanager
async def traced_gateway(folder: Path, **settings: Any) -> AsyncIterator[Traced]:
    server = Server()
    async with span_receiver() as receiver, scripted_server(server) as upstream:
        tracing = {"endpoint": receiver.endpoint, **settings}
        async with running_gateway(upstream.base_url, folder, tracing=tracing) as gateway:
            yield Traced(gateway, server, receiver)


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[Traced]:
    async with traced_gateway(tmp_path) as gateway:
        yield gateway


async def test_a_read_has_a_span_for_each_step_and_the_server_is_told_of_the_one_for_its_question(
    traced: Traced,
) -> None:
    span, steps = await traced.spans_of("/Patient/pat-a", headers={"traceparent": RECORDED, "tracestate": "a=1,b=x y"})
    assert (span.name, span.kind, span.trace_id, span.parent_id) == ("GET /fhir/Patient/{id}", "server", TRACE, SPAN)
    assert [(step.name, step.kind, step.trace_id) for step in steps] == [
        ("resolve token", "internal", TRACE),
        ("decide", "internal", TRACE),
        ("GET /fhir/Patient/{id}", "client", TRACE),
        ("verify", "internal", TRACE),
    ]
    assert traced.server.told == [(f"00-{TRACE}-{steps[2].span_id}-01", "a=1,b=x y")]
    record = traced.gateway.telemetry.records[-1]
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/fhir/Patient/{id}",
        "fhir.interaction": "read",
        "fhir.resource_type": "Patient",
        "smart_gateway.reason": "permitted",
        "smart_gateway.decision_id": record.decision_id,
        "smart_gateway.token_cached": False,
    }
    port = int(steps[2].attributes.pop("server.port"))
    assert steps[2].attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "url.template": "/fhir/Patient/{id}",
    }
    assert port > 0
    assert record.trace_id == TRACE
    assert span.nanoseconds[0] <= steps[0].nanoseconds[0]
    assert steps[-1].nanoseconds[1] <= span.nanoseconds[1]
    assert span.resource["service.name"] == "smart-fhir-gateway"
    assert re.fullmatch(r"[0-9a-f-]{36}", span.resource["service.instance.id"])


async def test_what_is_remembered_has_no_step(traced: Traced) -> None:
    token = traced.gateway.token("patient/*.rs")
    for remembered in (False, True):
        headers = {"authorization": f"Bearer {token}"}
        span, steps = await traced.spans_of("/Patient/pat-a", None, headers=headers)
        assert span.attributes["smart_gateway.token_cached"] is remembered
        names = ["GET /fhir/Patient/{id}", "verify"]
        assert [step.name for step in steps] == (names if remembered else ["resolve token", "decide", *names])
        assert span.parent_id == ""


async def test_a_refusal_says_its_reason_and_is_no_error(traced: Traced) -> None:
    span, steps = await traced.spans_of("/Observation/obs-b")
    assert (span.attributes["http.response.status_code"], span.is_error) == (404, False)
    assert span.attributes["smart_gateway.reason"] == "out_of_reach"
    assert steps[-1].name == "verify"
    span, steps = await traced.spans_of("/Patient/pat-a", None, headers={"authorization": "Bearer nonsense"})
    assert span.name == "GET"
    assert [step.name for step in steps] == ["resolve token"]
    assert "http.route" not in span.attributes


async def test_a_failure_of_the_server_is_an_error_of_both(traced: Traced) -> None:
    traced.server.status = 500
    span, steps = await traced.spans_of("/Patient/pat-a")
    client = next(step for step in steps if step.kind == "client")
    assert (span.is_error, span.attributes["error.type"]) == (True, "upstream_failed")
    assert (client.is_error, client.attributes["error.type"]) == (True, "500")


async def test_nothing_of_a_patient_a_person_or_a_token_leaves_with_the_spans(traced: Traced) -> None:
    token = traced.gateway.token("patient/*.rs", client_id="app-secret", sub="user-secret")
    headers = {
        "authorization": f"Bearer {token}",
        "user-agent": "agent-secret",
        "x-request-id": "request-secret",
        "tracestate": "vendor=state-secret",
        "traceparent": RECORDED,
    }
    paths = [
        "/Patient/pat-a",
        "/Patient/pat-secret",
        "/Observation/obs-secret-1",
        "/Observation?code=hiv-secret&patient=pat-a",
        "/Patient/pat-a/Observation?code=hiv-secret",
        "/Patient/pat-a/$operation-secret",
        "/Patient/pat-a/_history/version-secret",
        "/secret/secret/secret/secret",
        "/Patient/%70at-secret",
        "/Patient?name=name-secret",
    ]
    for path in paths:
        await traced.gateway.request(path, None, headers=headers)
    await traced.gateway.request("/Observation", None, method="POST", headers=headers, json=OBSERVATION)
    await traced.receiver.wait_for_servers(len(paths) + 1)
    sent = b"".join(traced.receiver.bodies)
    told = [
        text for text in ("secret", "pat-a", "pat-b", "hiv", "Sensitive", token, "127.0.0.1:") if text.encode() in sent
    ]
    assert not told
    assert {span.trace_id for span in traced.receiver.spans} == {TRACE}
    names = {span.attributes.get("http.route") for span in traced.receiver.spans if span.kind == "server"}
    assert names == {
        None,
        "/fhir/Patient/{id}",
        "/fhir/Observation/{id}",
        "/fhir/Observation",
        "/fhir/Patient/{id}/Observation",
        "/fhir/Patient/{id}/{operation}",
        "/fhir/Patient/{id}/_history/{id}",
        "/fhir/Patient",
    }


async def test_the_entries_of_a_batch_are_steps_of_its_request(traced: Traced) -> None:
    entries = [{"request": {"method": "GET", "url": "Patient/pat-a"}}] * 3
    batch = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    headers = {"content-type": "application/fhir+json"}
    span, steps = await traced.spans_of("", method="POST", json=batch, headers=headers)
    assert span.name == "POST /fhir"
    clients = [step for step in steps if step.kind == "client"]
    assert len(clients) == 3
    assert {told and told.split("-")[2] for told, _ in traced.server.told} == {step.span_id for step in clients}
    assert {record.trace_id for record in traced.gateway.telemetry.records} == {span.trace_id}


@pytest.mark.parametrize(
    ("settings", "sent", "is_recorded"),
    [
        pytest.param({}, UNRECORDED, False, id="the client does not record it"),
        pytest.param({"sample_ratio": 0}, RECORDED, True, id="the client records it, whatever the ratio"),
        pytest.param({"sample_ratio": 0}, None, False, id="nobody has decided, and the ratio is nothing"),
        pytest.param({"sample_ratio": 1}, None, True, id="nobody has decided, and the ratio is everything"),
        pytest.param({"sample_ratio": 0, "parent_based": False}, RECORDED, False, id="clients do not decide, nothing"),
        pytest.param({"parent_based": False}, UNRECORDED, True, id="clients do not decide, everything"),
    ],
)
async def test_which_requests_are_recorded(
    settings: dict[str, Any], sent: str | None, is_recorded: bool, tmp_path: Path
) -> None:
    async with traced_gateway(tmp_path, **settings) as traced:
        headers = {} if sent is None else {"traceparent": sent}
        await traced.gateway.request("/Patient/pat-a", headers=headers)
        [(told, _)] = traced.server.told
        assert told is not None
        _, trace, span, flags = told.split("-")
        if sent is not None:
            assert trace == TRACE
            # The client's span is passed on where there is none of ours.
            assert (told == sent) is not is_recorded
        assert (flags == "01") is (is_recorded or sent == RECORDED)
        assert traced.gateway.telemetry.records[-1].trace_id == trace
    # The gateway has ended, and has sent what was waiting.
    assert [one.kind for one in traced.receiver.spans].count("server") == int(is_recorded)
    if is_recorded:
        assert span in {one.span_id for one in traced.receiver.spans}


async def test_headers_and_resource_attributes_are_those_of_the_settings(tmp_path: Path) -> None:
    settings = {
        "headers": "x-api-key=secret key, x-tenant=clinic",
        "service_name": "gateway of the clinic",
        "resource_attributes": {"deployment.environment.name": "test"},
    }
    async with traced_gateway(tmp_path, **settings) as traced:
        span, _ = await traced.spans_of("/Patient/pat-a")
        assert span.resource.items() >= {
            ("service.name", "gateway of the clinic"),
            ("deployment.environment.name", "test"),
        }
        [headers] = traced.receiver.headers
        assert (headers["x-api-key"], headers["x-tenant"]) == ("secret key", "clinic")


async def test_the_public_documents_have_spans_and_health_checks_have_none(traced: Traced) -> None:
    root = traced.gateway.base_url.removesuffix("/fhir")
    assert (await traced.gateway.client.get(f"{root}/healthz")).status_code == 200
    assert (await traced.gateway.client.get(f"{root}/secret")).status_code == 404
    span = (await traced.receiver.wait_for_servers(1))[0]
    assert (span.name, span.attributes) == ("GET", {"http.request.method": "GET", "http.response.status_code": 404})
    assert "secret" not in json.dumps([one.text for one in traced.receiver.spans])
