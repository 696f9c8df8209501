"""Spans at a real OpenTelemetry Collector: it takes them, and passes the same on."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ScriptedResponse, make_resource, scripted_server
from tests.servers.collector_process import start_collector
from tests.servers.process import NotAvailable
from tests.servers.span_receiver import span_receiver

pytestmark = [
    pytest.mark.collector,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.environ.get("SMART_GATEWAY_COLLECTOR") != "1",
        reason="a collector runs only with SMART_GATEWAY_COLLECTOR=1 (make test-collector)",
    ),
]
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PATIENT = make_resource("Patient", "pat-a")


async def test_a_real_collector_takes_the_spans_of_a_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.telemetry")

    def respond(*_: object) -> ScriptedResponse:
        return (200, PATIENT, {})

    async with span_receiver() as receiver, scripted_server(respond) as upstream:
        try:
            collector = await asyncio.to_thread(start_collector, receiver.endpoint)
        except NotAvailable as missing:
            pytest.skip(str(missing))
        with collector.server:
            tracing = {"endpoint": collector.endpoint, "resource_attributes": {"deployment.environment.name": "test"}}
            async with running_gateway(upstream.base_url, tmp_path, tracing=tracing) as gateway:
                headers = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
                assert (await gateway.request("/Patient/pat-a", headers=headers)).status_code == 200
            spans = await receiver.wait_for(5)
    assert [(span.name, span.kind, span.trace_id) for span in spans] == [
        ("GET /fhir/Patient/{id}", "server", TRACE),
        ("resolve token", "internal", TRACE),
        ("decide", "internal", TRACE),
        ("GET /fhir/Patient/{id}", "client", TRACE),
        ("verify", "internal", TRACE),
    ]
    assert [span.parent_id for span in spans] == [SPAN, *[spans[0].span_id] * 4]
    assert spans[0].resource["deployment.environment.name"] == "test"
    # It said that it took all of them.
    assert [record.message for record in caplog.records if "collector" in record.message] == []
