"""What is logged and traced changes with a reload, at once and without losing anything."""

import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.commands.reload.changed_process import (
    IN_FORCE,
    lines,
    logged,
    samples,
    status_of,
    until_samples,
    write_settings,
)
from tests.commands.serving_process import ServingProcess, serving_process
from tests.proxy.lenient_server import LenientServer, lenient_server
from tests.servers.span_receiver import SpanReceiver, span_receiver

PATIENT = {"resourceType": "Patient", "id": "A"}
UNWATCHED: dict[str, Any] = {"reload": {"watch_seconds": None}}


@pytest.fixture
async def upstream() -> AsyncIterator[LenientServer]:
    async with lenient_server(PATIENT) as server:
        yield server


@pytest.fixture
async def receiver() -> AsyncIterator[SpanReceiver]:
    async with span_receiver() as running:
        yield running


async def _reload(gateway: ServingProcess, **changes: object) -> None:
    """Change settings, and wait until another version is in force."""
    before = await samples(gateway, "smart_gateway_configuration_info")
    write_settings(gateway, **changes)
    gateway.signal(signal.SIGHUP)
    await until_samples(gateway, "smart_gateway_configuration_info", lambda now: now != before)


async def test_the_level_of_the_log_changes_both_ways(upstream: LenientServer) -> None:
    """That a configuration came into force is told at the level `info`, under that configuration."""
    async with serving_process(upstream.base_url, UNWATCHED | {"log_level": "error"}) as gateway:
        assert gateway.log() == []
        await _reload(gateway, log_level="info")
        await logged(gateway, IN_FORCE)
        await _reload(gateway, log_level="error")
        await _reload(gateway, log_level="warning")
        await _reload(gateway, log_level="debug")
        await logged(gateway, IN_FORCE, times=2)
        told = [line["configuration"] for line in lines(gateway, IN_FORCE)]
        [last] = await samples(gateway, "smart_gateway_configuration_info")
        assert told[-1] == last
        assert len(set(told)) == 2


async def test_traces_begin_move_and_end_with_a_reload(upstream: LenientServer, receiver: SpanReceiver) -> None:
    async def read() -> None:
        assert await status_of(gateway) == 200

    async def exported() -> float:
        return (await samples(gateway, "smart_gateway_spans_total")).get("exported", 0)

    async with serving_process(upstream.base_url, UNWATCHED) as gateway:
        await read()
        await _reload(gateway, tracing={"endpoint": receiver.endpoint})
        await read()
        await receiver.wait_for_servers(1)
        await _reload(gateway, tracing={"endpoint": receiver.endpoint, "service_name": "renamed"})
        await read()
        await receiver.wait_for_servers(2)
        counted = await exported()
        assert counted > 0
        await _reload(gateway, tracing=None)
        await read()
        assert await exported() >= counted
        gateway.signal(signal.SIGTERM)
        assert await gateway.exit_status() == 0
    names = [span.resource["service.name"] for span in receiver.servers()]
    assert names == ["smart-fhir-gateway", "renamed"]
    versions = {span.attributes["smart_gateway.configuration"] for span in receiver.servers()}
    assert len(versions) == 2
