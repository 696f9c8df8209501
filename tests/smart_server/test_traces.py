"""The spans of the SMART server: each request by its route, with what its pages ask of the FHIR server."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.servers.span_receiver import SpanReceiver, span_receiver
from tests.smart_server.running_server import RunningServer, run_smart_server

pytestmark = pytest.mark.sekmet

SCOPE = "launch/patient patient/Patient.rs"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
async def receiver() -> AsyncIterator[SpanReceiver]:
    async with span_receiver() as running:
        yield running


@pytest.fixture
async def server(fhir_server: str, receiver: SpanReceiver) -> AsyncIterator[RunningServer]:
    def add_tracing(settings: dict[str, Any]) -> None:
        settings["tracing"] = {"endpoint": receiver.endpoint}

    async with run_smart_server(fhir_server, change=add_tracing) as running:
        yield running


async def test_a_launch_is_told_by_routes_and_by_nothing_of_the_person_or_the_patient(
    server: RunningServer, receiver: SpanReceiver
) -> None:
    app = server.app()
    answer = await server.request_tokens(app, SCOPE)
    await server.http.get(f"{server.issuer}/nobody/knows")
    await receiver.wait_for_servers(8)
    names = [span.name for span in receiver.servers()]
    assert names == [
        "GET /auth/authorize",
        "GET /auth/authorize/{transaction}",
        "POST /auth/authorize/{transaction}/login",
        "GET /auth/authorize/{transaction}",
        "POST /auth/authorize/{transaction}/patient",
        "GET /auth/authorize/{transaction}",
        "POST /auth/authorize/{transaction}/consent",
        "POST /auth/token",
        "GET",
    ]
    assert all(not span.is_error for span in receiver.spans)
    sent = b"".join(receiver.bodies)
    kept = [answer["access_token"], "pat-a", "doctor", "public-app", "nobody", app.state, "Practitioner"]
    assert [text for text in kept if text.encode() in sent] == []


async def test_what_a_page_asks_of_the_fhir_server_is_a_step_of_its_request(
    server: RunningServer, receiver: SpanReceiver
) -> None:
    person = server.person()
    await person.sign_in(await person.open(server.app().authorization_url(SCOPE)))
    picker = (await receiver.wait_for_servers(4))[3]
    clients = [step for step in receiver.children_of(picker) if step.kind == "client"]
    assert picker.name == "GET /auth/authorize/{transaction}"
    assert [step.name for step in clients] == ["GET /fhir/Patient"]
    assert "verify" in [step.name for step in receiver.children_of(picker)]


async def test_a_client_s_trace_goes_on_at_the_token_endpoint_and_a_refusal_is_no_error(
    server: RunningServer, receiver: SpanReceiver
) -> None:
    response = await server.http.post(f"{server.issuer}/token", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    assert response.status_code == 400
    [span] = await receiver.wait_for_servers(1)
    assert (span.name, span.trace_id, span.parent_id, span.is_error) == ("POST /auth/token", TRACE, SPAN, False)
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/auth/token",
        "http.response.status_code": 400,
    }


async def test_discovery_has_a_span(server: RunningServer, receiver: SpanReceiver) -> None:
    path = "/fhir/.well-known/smart-configuration"
    assert (await server.http.get(f"{server.root}{path}")).status_code == 200
    [span] = await receiver.wait_for_servers(1)
    assert (span.name, span.attributes["http.route"]) == (f"GET {path}", path)
