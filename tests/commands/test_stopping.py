"""Stopping: not ready first, then no new connections, then the end of what is in progress. No request is lost."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2
import pytest

from gateway.asgi.types import Receive, Scope, Send
from tests.commands.serving_process import ServingProcess, serving_process, until
from tests.proxy.running_gateway import serve_on
from tests.servers.ports import free_port

PATIENT = b'{"resourceType":"Patient","id":"A"}'
STATEMENT = b'{"resourceType":"CapabilityStatement","rest":[]}'


@dataclass
class HeldServer:
    """A FHIR server that holds back its response to a read until it may go on."""

    base_url: str
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    may_respond: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        body = STATEMENT
        if not scope["path"].endswith("/metadata"):
            body = PATIENT
            self.arrived.set()
            await self.may_respond.wait()
        headers = [(b"content-type", b"application/fhir+json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def held() -> AsyncIterator[HeldServer]:
    port = free_port()
    server = HeldServer(f"http://127.0.0.1:{port}/fhir")
    async with serve_on(server, port):
        yield server
        server.may_respond.set()


async def _get(client: httpx2.AsyncClient, gateway: ServingProcess, path: str) -> httpx2.Response:
    return await client.get(f"{gateway.root}{path}", headers={"authorization": f"Bearer {gateway.token()}"})


async def _status_of_readiness(gateway: ServingProcess) -> int:
    async with httpx2.AsyncClient(trust_env=False) as client:
        return (await client.get(f"{gateway.root}/readyz")).status_code


@contextlib.asynccontextmanager
async def _request_in_progress(
    gateway: ServingProcess, held: HeldServer
) -> AsyncIterator[asyncio.Task[httpx2.Response]]:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        reading = asyncio.create_task(_get(client, gateway, "/fhir/Patient/A"))
        await held.arrived.wait()
        yield reading


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
async def test_first_it_is_not_ready_then_it_refuses_connections_and_then_it_ends(
    held: HeldServer, number: signal.Signals
) -> None:
    async with (
        serving_process(held.base_url, {"shutdown": {"drain_seconds": 1.5}}) as gateway,
        httpx2.AsyncClient(trust_env=False, timeout=60) as client,
    ):
        assert "connection" not in (await client.get(f"{gateway.root}/healthz")).headers
        async with _request_in_progress(gateway, held) as reading:
            gateway.signal(number)
            await until(lambda: "stopping: not ready any more" in gateway.events())
            # On a connection from before, and on a new one.
            told = await client.get(f"{gateway.root}/readyz")
            assert (told.status_code, told.text, told.headers["connection"]) == (503, "not ready: stopping\n", "close")
            unknown = await client.get(f"{gateway.root}/fhir/Patient/A")
            assert (unknown.status_code, unknown.headers["connection"]) == (401, "close")
            with pytest.raises(httpx2.ConnectError):
                while True:
                    await _status_of_readiness(gateway)
            assert not reading.done()
            held.may_respond.set()
            response = await reading
            assert (response.status_code, response.headers["connection"]) == (200, "close")
        assert await gateway.exit_status() == 0
        assert [line["status"] for line in gateway.audit()] == [401, 200]


async def test_a_hangup_changes_nothing_and_a_second_signal_ends_it_at_once(held: HeldServer) -> None:
    async with serving_process(held.base_url, {"shutdown": {"drain_seconds": 600, "finish_seconds": 600}}) as gateway:
        gateway.signal(signal.SIGHUP)
        await until(lambda: "the configuration has not changed" in gateway.events())
        assert await _status_of_readiness(gateway) == 200
        async with _request_in_progress(gateway, held) as reading:
            gateway.signal(signal.SIGTERM)
            await until(lambda: "stopping: not ready any more" in gateway.events())
            gateway.signal(signal.SIGINT)
            assert (await reading).status_code == 500
        assert await gateway.exit_status() == 0
        assert "stopping at once" in gateway.events()
        assert [line["reason"] for line in gateway.audit()] == ["internal_error"]


async def test_a_request_that_takes_too_long_is_cut_off(held: HeldServer) -> None:
    async with serving_process(held.base_url, {"shutdown": {"finish_seconds": 0.3}}) as gateway:
        async with _request_in_progress(gateway, held) as reading:
            gateway.signal(signal.SIGTERM)
            assert (await reading).status_code == 500
        assert await gateway.exit_status() == 0
        assert "requests took too long" in gateway.events()
        assert [line["reason"] for line in gateway.audit()] == ["internal_error"]


async def test_whoever_has_just_connected_may_send_a_request_when_no_connection_is_accepted_any_more(
    held: HeldServer,
) -> None:
    async with serving_process(held.base_url) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        # Half a head is a request in progress.
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        await writer.drain()
        assert await _status_of_readiness(gateway) == 200
        gateway.signal(signal.SIGTERM)
        with pytest.raises(httpx2.ConnectError):
            while True:
                await _status_of_readiness(gateway)
        writer.write(b"Host: x\r\n\r\n")
        response = await reader.read()
        writer.close()
        assert response.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in response
        assert await gateway.exit_status() == 0
