"""Real FHIR servers store AuditEvents of every kind, each once, and what they never accept is given back."""

from collections.abc import Iterator, Sequence

import pytest

from gateway.audit_delivery.audit_repository import AuditRepository
from gateway.audit_delivery.build import build_repository
from gateway.audit_delivery.sink import SinkUnavailable
from gateway.settings.serving.audit import AuditServer
from tests.real_servers.servers_under_test import NEEDS_HAPI
from tests.servers.hapi_server import start_hapi
from tests.servers.ports import free_port
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet
from tests.telemetry.audit_events.sample_events import sample_events

LINES = [sample.line for sample in sample_events() if not sample.name.startswith("literal")]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("sekmet", marks=pytest.mark.sekmet),
        # It refuses references that lead nowhere, as most servers do.
        pytest.param("hapi", marks=[pytest.mark.hapi, NEEDS_HAPI]),
    ],
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    started = start_sekmet(load=False) if request.param == "sekmet" else start_hapi(strict=True, load=False)
    with started:
        yield started


async def write(repository: AuditRepository, lines: Sequence[bytes]) -> list[bytes]:
    rejected: list[bytes] = []
    for start in range(0, len(lines), repository.max_lines):
        rejected += await repository.write(lines[start : start + repository.max_lines])
    return rejected


async def count(repository: AuditRepository) -> int:
    return len({event["id"] async for event in repository.search("_count=200")})


@pytest.mark.parametrize("batch", [50, 1])
async def test_every_kind_of_event_is_stored_once_however_often_it_comes(server: Server, batch: int) -> None:
    repository = build_repository(AuditServer(base_url=server.base_url, batch=batch))
    lines = LINES if batch > 1 else LINES[:10]
    try:
        for _ in range(2):
            assert await write(repository, lines) == []
        assert await count(repository) == len(LINES)
    finally:
        await repository.aclose()


async def test_what_a_server_never_accepts_is_given_back_and_the_rest_is_stored(server: Server) -> None:
    repository = build_repository(AuditServer(base_url=server.base_url))
    wrong = LINES[1].replace(b'"recorded":"2026-01-01T00:00:00.250Z"', b'"recorded":"whenever"')
    try:
        assert await repository.write([LINES[0], wrong, LINES[2]]) == [wrong]
    finally:
        await repository.aclose()


@pytest.mark.sekmet
async def test_a_server_that_takes_nothing_is_unavailable() -> None:
    for address in (f"http://127.0.0.1:{free_port()}/fhir", "http://127.0.0.1:1"):
        repository = build_repository(AuditServer(base_url=address))
        for lines in (LINES[:2], LINES[:1]):
            with pytest.raises(SinkUnavailable, match="cannot be asked"):
                await repository.write(lines)
        await repository.aclose()
    with start_sekmet(load=False) as server:
        repository = build_repository(AuditServer(base_url=f"{server.base_url}/elsewhere"))
        with pytest.raises(SinkUnavailable, match="the server answers 4"):
            await repository.write(LINES[:2])
        await repository.aclose()
