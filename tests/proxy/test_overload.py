"""One client that asks for too much: it is refused at once, and the others are served as if it was not there."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from gateway.asgi.requests_in_progress import of_address
from gateway.policy.reasons import Reason
from tests.commands.serving_process import until
from tests.proxy.held_answers import HeldAnswers, held_answers
from tests.proxy.running_gateway import RunningGateway, running_gateway

_Task = asyncio.Task[httpx2.Response]


def ask(gateway: RunningGateway, client: str, *names: str) -> list[_Task]:
    """Reads of one client that go on in the background."""
    return [
        asyncio.create_task(gateway.request(f"/Observation/{name}", claims={"client_id": client})) for name in names
    ]


async def arrivals(server: HeldAnswers, count: int) -> list[str]:
    async with asyncio.timeout(60):
        return [(await server.arrived.get()).rpartition("/")[2] for _ in range(count)]


async def until_waiting(gateway: RunningGateway, count: int) -> None:
    """Wait until so many requests wait for a connection to the FHIR server."""
    await until(lambda: gateway.gateway.pool.waiting == count)


async def settle(gateway: RunningGateway) -> None:
    """Wait until the gateway itself asks the FHIR server for nothing any more."""
    await gateway.request("/metadata", scope=None)
    await until(lambda: gateway.gateway.pool.in_use == 0)


def reason_of(response: httpx2.Response) -> str:
    return str(response.json()["issue"][0]["details"]["coding"][0]["code"])


async def test_a_client_with_too_many_requests_is_refused_at_once_and_others_are_served(tmp_path: Path) -> None:
    async with (
        held_answers() as server,
        running_gateway(server.base_url, tmp_path, overload={"requests_per_client": 3}) as gateway,
    ):
        greedy = ask(gateway, "greedy", "g1", "g2", "g3")
        await arrivals(server, 3)
        [refused] = await asyncio.gather(*ask(gateway, "greedy", "g4"))
        assert (refused.status_code, reason_of(refused)) == (429, "too_many_requests")
        assert refused.headers["retry-after"] == "1"
        polite = ask(gateway, "polite", "p1")
        assert await arrivals(server, 1) == ["p1"]
        server.let_go(4)
        assert [response.status_code for response in await asyncio.gather(*greedy, *polite)] == [200] * 4
        assert gateway.telemetry.records[0].reason is Reason.TOO_MANY_REQUESTS
        # All have left again.
        server.let_go(3)
        again = await asyncio.gather(*ask(gateway, "greedy", "g5", "g6", "g7"))
        assert [response.status_code for response in again] == [200] * 3


async def test_many_tokens_of_one_client_are_one_client(tmp_path: Path) -> None:
    async with (
        held_answers() as server,
        running_gateway(server.base_url, tmp_path, overload={"requests_per_client": 2}) as gateway,
    ):
        users = [
            asyncio.create_task(gateway.request("/Observation/a", claims={"client_id": "app", "sub": f"user-{number}"}))
            for number in range(2)
        ]
        await arrivals(server, 2)
        refused = await gateway.request("/Observation/a", claims={"client_id": "app", "sub": "another"})
        assert refused.status_code == 429
        server.let_go(2)
        assert [response.status_code for response in await asyncio.gather(*users)] == [200, 200]


async def test_whoever_has_the_fewest_connections_goes_next(tmp_path: Path) -> None:
    pool = {"connections": 2, "connections_per_client": 2}
    async with held_answers() as server, running_gateway(server.base_url, tmp_path, upstream={"pool": pool}) as gateway:
        await settle(gateway)
        tasks = ask(gateway, "greedy", "g1", "g2")
        await arrivals(server, 2)
        for number in range(3, 6):
            tasks += ask(gateway, "greedy", f"g{number}")
            await until_waiting(gateway, number - 2)
        tasks += ask(gateway, "polite", "p1")
        await until_waiting(gateway, 4)
        order = []
        for _ in range(4):
            server.let_go(1)
            order += await arrivals(server, 1)
        assert order == ["p1", "g3", "g4", "g5"]
        server.let_go(2)
        assert [response.status_code for response in await asyncio.gather(*tasks)] == [200] * 6


async def test_a_connection_is_free_for_others_while_one_client_waits(tmp_path: Path) -> None:
    pool = {"connections": 4}
    async with held_answers() as server, running_gateway(server.base_url, tmp_path, upstream={"pool": pool}) as gateway:
        await settle(gateway)
        tasks = ask(gateway, "greedy", *(f"g{number}" for number in range(8)))
        await arrivals(server, 3)
        await until_waiting(gateway, 5)
        tasks += ask(gateway, "polite", "p1")
        assert await arrivals(server, 1) == ["p1"]
        server.let_go(9)
        assert [response.status_code for response in await asyncio.gather(*tasks)] == [200] * 9
        assert server.most_in_progress == 4


async def test_a_full_queue_makes_room_for_who_has_less_in_it(tmp_path: Path) -> None:
    pool = {"connections": 1, "queue": 3}
    async with held_answers() as server, running_gateway(server.base_url, tmp_path, upstream={"pool": pool}) as gateway:
        await settle(gateway)
        greedy = ask(gateway, "greedy", "g1", "g2", "g3", "g4")
        await until_waiting(gateway, 3)
        [polite] = ask(gateway, "polite", "p1")
        done, _ = await asyncio.wait(greedy, return_when=asyncio.FIRST_COMPLETED)
        [refused] = [task.result() for task in done]
        assert (refused.status_code, reason_of(refused)) == (429, "too_many_requests")
        server.let_go(4)
        assert (await polite).status_code == 200
        assert sorted(response.status_code for response in await asyncio.gather(*greedy)) == [200, 200, 200, 429]


async def test_a_batch_counts_as_what_it_costs(tmp_path: Path) -> None:
    entries = [{"request": {"method": "GET", "url": f"Observation/b{number}"}} for number in range(12)]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    pool = {"connections": 4}
    async with held_answers() as server, running_gateway(server.base_url, tmp_path, upstream={"pool": pool}) as gateway:
        await settle(gateway)
        headers = {"content-type": "application/fhir+json"}
        sent = asyncio.create_task(
            gateway.request("", method="POST", json=batch, headers=headers, claims={"client_id": "greedy"})
        )
        await arrivals(server, 3)
        await until_waiting(gateway, 9)
        [polite] = ask(gateway, "polite", "p1")
        assert await arrivals(server, 1) == ["p1"]
        server.let_go(13)
        assert (await polite).status_code == 200
        answered: Any = (await sent).json()
        assert [entry["response"]["status"][:3] for entry in answered["entry"]] == ["200"] * 12


async def test_a_client_that_goes_leaves_the_queue(tmp_path: Path) -> None:
    async with (
        held_answers() as server,
        running_gateway(server.base_url, tmp_path, upstream={"pool": {"connections": 1}}) as gateway,
    ):
        await settle(gateway)
        [first] = ask(gateway, "app", "a1")
        await arrivals(server, 1)
        parts = urlsplit(gateway.base_url)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        token = gateway.token("patient/*.rs", client_id="gone")
        head = f"GET /fhir/Observation/a2 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
        writer.write(head.encode())
        await until_waiting(gateway, 1)
        writer.close()
        await until_waiting(gateway, 0)
        server.let_go(1)
        assert (await first).status_code == 200
        await until(lambda: len(gateway.telemetry.records) == 3)
        assert gateway.telemetry.records[1].reason is Reason.CLIENT_GONE
        # Nothing of it was sent.
        assert server.arrived.empty()


async def test_pages_and_metadata_of_one_address_are_bounded_and_health_is_not(tmp_path: Path) -> None:
    async with held_answers() as server, running_gateway(server.base_url, tmp_path) as gateway:
        in_progress = gateway.gateway._lasting.proxy.in_progress
        address = of_address("127.0.0.1")
        while in_progress.enter_unproven(address) is None:
            pass
        root = gateway.base_url.removesuffix("/fhir")
        page = await gateway.client.get(f"{root}/auth/authorize")
        assert page.status_code == 429, page.text
        assert page.json()["error"] == "temporarily_unavailable"
        assert page.headers["retry-after"] == "1"
        assert gateway.telemetry.events[-1].reason == "requests_in_progress"
        assert (await gateway.request("/metadata", scope=None)).status_code == 429
        assert (await gateway.client.get(f"{root}/healthz")).status_code == 200
        # A token that is known already is served all the same.
        in_progress.leave(address)
        [task] = ask(gateway, "app", "a1")
        await arrivals(server, 1)
        in_progress.enter_unproven(address)
        server.let_go(2)
        assert (await task).status_code == 200


async def test_health_checks_that_anybody_may_ask_for_take_one_connection_together(tmp_path: Path) -> None:
    pool = {"connections": 2}
    async with held_answers() as server, running_gateway(server.base_url, tmp_path, upstream={"pool": pool}) as gateway:
        await settle(gateway)
        gateway.gateway._capability_statement._expires_at = 0.0
        server.holds_statement = True
        ready = gateway.base_url.replace("/fhir", "/readyz")
        checks = [asyncio.create_task(gateway.client.get(ready)) for _ in range(6)]
        checks.append(asyncio.create_task(gateway.request("/metadata", scope=None)))
        assert await arrivals(server, 1) == ["metadata"]
        await until(lambda: gateway.gateway._lasting.proxy.in_progress.total == 1)
        polite = ask(gateway, "polite", "p1")
        assert await arrivals(server, 1) == ["p1"]
        # Who began it does not end it for the others.
        checks[0].cancel()
        server.let_go(2)
        answers = await asyncio.gather(*checks[1:], *polite)
        assert [response.status_code for response in answers] == [200] * 7
