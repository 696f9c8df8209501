"""Traces of `serve`: each worker sends its own, what waits is sent at the end, and log lines name the trace."""

import signal
import socket
import sys
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.commands.serving_process import ServingProcess, serving_process, until
from tests.proxy.lenient_server import LenientServer, lenient_server
from tests.servers.span_receiver import SpanReceiver, span_receiver

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PATIENT = {"resourceType": "Patient", "id": "A"}


@pytest.fixture
async def upstream() -> AsyncIterator[LenientServer]:
    async with lenient_server(PATIENT) as server:
        yield server


@pytest.fixture
async def receiver() -> AsyncIterator[SpanReceiver]:
    async with span_receiver() as running:
        yield running


async def _read(gateway: ServingProcess) -> None:
    """Read with a connection of its own, which any worker may accept."""
    headers = {"authorization": f"Bearer {gateway.token()}", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        assert (await client.get(f"{gateway.base_url}/Patient/A", headers=headers)).status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="several workers need Linux")
async def test_each_worker_sends_its_spans_and_the_last_ones_when_it_ends(
    upstream: LenientServer, receiver: SpanReceiver
) -> None:
    settings = {"tracing": {"endpoint": receiver.endpoint}}
    async with serving_process(upstream.base_url, settings, workers=2) as gateway:
        reads = 0
        while len({line["decision_id"].partition("-")[0] for line in gateway.audit()}) < 2:
            await _read(gateway)
            reads += 1
            await until(lambda expected=reads: gateway.audit_count() == expected)  # type: ignore[misc]  # a lambda has no types
        assert {line["trace_id"] for line in gateway.audit()} == {TRACE}
        gateway.signal(signal.SIGTERM)
        assert await gateway.exit_status() == 0
        decided = {line["decision_id"] for line in gateway.audit()}
    servers = receiver.servers()
    assert len(servers) == reads
    assert len({span.resource["service.instance.id"] for span in servers}) == 2
    assert {span.attributes["smart_gateway.decision_id"] for span in servers} == decided
    assert all(span.attributes["smart_gateway.configuration"] for span in servers)


async def test_an_end_does_not_wait_for_a_collector_that_never_answers(upstream: LenientServer) -> None:
    """Its port is open and silent: one that nobody accepts from."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = {"tracing": {"endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"}}
        async with serving_process(upstream.base_url, settings) as gateway:
            await _read(gateway)
            gateway.signal(signal.SIGTERM)
            assert await gateway.exit_status() == 0
            told = {"spans were not sent before the end", "the collector does not take spans"}
            assert told & set(gateway.events())
