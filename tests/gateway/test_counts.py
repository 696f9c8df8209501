"""No count of what is hidden: neither for a user who reaches nobody, nor before it is known what is narrowed by."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import app
from gateway.web.answer import Receive, Scope, Send
from tests.gateway.marks import reason_of, refused
from tests.gateway.running import ASGIApplication, running_gateway, served
from tests.gateway.scripted import ABSENT, Answered, scripted
from tests.servers.process import free_port

EVERYTHING = {"resourceType": "Bundle", "type": "searchset", "total": 4711}


async def test_a_user_who_reaches_nobody_counts_nothing(tmp_path: Path) -> None:
    """A server that drops an empty criterion (hapi.md B2) counts every row of the type."""

    def script(path: str, query: str, headers: Any) -> Answered:
        return ABSENT if path == "RelatedPerson/r" else (200, EVERYTHING, {})

    async with scripted(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        assert (await gateway.ask("/metadata", None)).status_code == 200
        for path in ("/Observation?code=secret&_summary=count", "/Patient?name=smith&_count=0", "/Observation"):
            answer = await gateway.ask(path, "user/*.rs", claims={"fhirUser": "RelatedPerson/r", "patient": None})
            assert refused(answer, 403, "user_reach_unknown")
        assert set(server.asked) == {"metadata", "RelatedPerson/r"}


def counting(statement_known: Callable[[], bool]) -> ASGIApplication:
    """A server that finds everything, whatever is asked, and tells its statement when it may."""
    empty = b'{"resourceType":"CapabilityStatement","rest":[]}'

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        metadata = scope["path"].endswith("metadata")
        body = empty if metadata else b'{"resourceType":"Bundle","type":"searchset","total":4711}'
        status = 503 if metadata and not statement_known() else 200
        headers = [(b"content-type", b"application/fhir+json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


async def test_nothing_is_counted_before_it_is_known_what_the_server_narrows_by(tmp_path: Path) -> None:
    known = False
    port = free_port()
    async with (
        served(counting(lambda: known), port),
        running_gateway(f"http://127.0.0.1:{port}/fhir", tmp_path) as gateway,
    ):
        for path in ("/Observation?_summary=count", "/Observation?_count=0"):
            assert refused(await gateway.ask(path), 403, "count_not_exact")
        assert "total" not in (await gateway.ask("/Observation?_total=accurate")).json()
        known = True
        assert (await gateway.ask("/metadata", None)).status_code == 200
        assert (await gateway.ask("/Observation?_summary=count")).json()["total"] == 4711


async def test_the_statement_is_asked_for_until_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_LOOK_AGAIN", 0.01)
    times = iter([False, False])
    port = free_port()
    async with (
        served(counting(lambda: next(times, True)), port),
        running_gateway(f"http://127.0.0.1:{port}/fhir", tmp_path) as gateway,
        asyncio.timeout(20),
    ):
        answer = await gateway.ask("/Observation?_summary=count")
        while answer.status_code == 403:
            assert reason_of(answer) == "count_not_exact"
            answer = await gateway.ask("/Observation?_summary=count")
        assert answer.json()["total"] == 4711
