"""A rolling restart under load: behind a balancer that asks for readiness, no request fails."""

import asyncio
import contextlib
import itertools
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field

import httpx2
import pytest

from tests.commands.serving_process import ServingProcess, serving_process, until
from tests.proxy.lenient_server import lenient_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="several workers need Linux")

_PROBE_SECONDS = 0.1
_CLIENTS = 8


@dataclass
class Balancer:
    """Takes turns between the gateways that were ready when last asked, on kept connections, and never tries twice."""

    gateways: list[ServingProcess]
    outcomes: Counter[int | str] = field(default_factory=Counter)
    _ready: set[int] = field(default_factory=set)
    _turn: "itertools.count[int]" = field(default_factory=itertools.count)

    async def probe(self) -> None:
        """Ask all gateways for readiness, again and again, each time on a new connection."""
        while True:
            for number, gateway in enumerate(self.gateways):
                async with httpx2.AsyncClient(trust_env=False) as client:
                    try:
                        is_ready = (await client.get(f"{gateway.root}/readyz")).status_code == 200
                    except httpx2.TransportError:
                        is_ready = False
                (self._ready.add if is_ready else self._ready.discard)(number)
            await asyncio.sleep(_PROBE_SECONDS)

    async def send_requests(self, client: httpx2.AsyncClient, token: str) -> None:
        """Send one request after the other."""
        while True:
            ready = sorted(self._ready)
            if not ready:
                self.outcomes["no gateway is ready"] += 1
                await asyncio.sleep(_PROBE_SECONDS)
                continue
            gateway = self.gateways[ready[next(self._turn) % len(ready)]]
            try:
                response = await client.get(
                    f"{gateway.root}/fhir/Patient/A", headers={"authorization": f"Bearer {token}"}
                )
                self.outcomes[response.status_code] += 1
            except httpx2.TransportError as error:
                self.outcomes[type(error).__name__] += 1


async def test_no_request_fails_while_one_gateway_after_the_other_is_replaced() -> None:
    base, settings = "http://gateway.localhost/fhir", {"shutdown": {"drain_seconds": 1}}
    async with (
        lenient_server({"resourceType": "Patient", "id": "A"}) as upstream,
        serving_process(upstream.base_url, settings, public_base_url=base) as one,
        serving_process(
            upstream.base_url, settings, workers=2, public_base_url=base, key_file=one.folder / "key.json"
        ) as other,
        httpx2.AsyncClient(trust_env=False, timeout=30) as client,
    ):
        balancer = Balancer([one, other])
        tasks = [asyncio.create_task(balancer.probe())]
        tasks += [asyncio.create_task(balancer.send_requests(client, one.token())) for _ in range(_CLIENTS)]
        await until(lambda: balancer.outcomes[200] > 200)
        for gateway in (one, other):
            gateway.signal(signal.SIGTERM)
            assert await gateway.exit_status() == 0
            await gateway.start().ready()
            enough = balancer.outcomes[200] + 200
            await until(lambda enough=enough: balancer.outcomes[200] > enough)  # type: ignore[misc]  # a lambda has no types
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
        del balancer.outcomes["no gateway is ready"]
        assert set(balancer.outcomes) == {200}, balancer.outcomes
        assert balancer.outcomes.total() > 600
