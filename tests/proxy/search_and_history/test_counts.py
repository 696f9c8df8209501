"""Hidden resources are not counted: not for a user without reach, and not before the CapabilityStatement is known."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import app
from gateway.asgi.types import Receive, Scope, Send
from tests.proxy.leaked_marks import is_refused, refusal_reason
from tests.proxy.running_gateway import ASGIApplication, running_gateway, serve_on
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, scripted_server
from tests.servers.ports import free_port

EVERYTHING = {"resourceType": "Bundle", "type": "searchset", "total": 4711}


async def test_a_user_who_reaches_nobody_counts_nothing(tmp_path: Path) -> None:
    """A server that ignores an empty criterion (hapi.md B2) would count all resources of the type."""

    def script(path: str, query: str, headers: Any) -> ScriptedResponse:
        return ABSENT if path == "RelatedPerson/r" else (200, EVERYTHING, {})

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        assert (await gateway.request("/metadata", None)).status_code == 200
        for path in ("/Observation?code=secret&_summary=count", "/Patient?name=smith&_count=0", "/Observation"):
            response = await gateway.request(path, "user/*.rs", claims={"fhirUser": "RelatedPerson/r", "patient": None})
            assert is_refused(response, 403, "user_reach_unknown")
        assert set(server.requests) == {"metadata", "RelatedPerson/r"}


def counting_server(statement_known: Callable[[], bool]) -> ASGIApplication:
    """A server that finds everything for every search, and has a CapabilityStatement once `statement_known` is true."""
    empty = b'{"resourceType":"CapabilityStatement","rest":[]}'

    async def response(scope: Scope, receive: Receive, send: Send) -> None:
        metadata = scope["path"].endswith("metadata")
        body = empty if metadata else b'{"resourceType":"Bundle","type":"searchset","total":4711}'
        status = 503 if metadata and not statement_known() else 200
        headers = [(b"content-type", b"application/fhir+json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return response


async def test_nothing_is_counted_before_it_is_known_what_the_server_narrows_by(tmp_path: Path) -> None:
    is_known = False
    port = free_port()
    async with (
        serve_on(counting_server(lambda: is_known), port),
        running_gateway(f"http://127.0.0.1:{port}/fhir", tmp_path) as gateway,
    ):
        for path in ("/Observation?_summary=count", "/Observation?_count=0"):
            assert is_refused(await gateway.request(path), 403, "count_not_exact")
        assert "total" not in (await gateway.request("/Observation?_total=accurate")).json()
        is_known = True
        assert (await gateway.request("/metadata", None)).status_code == 200
        assert (await gateway.request("/Observation?_summary=count")).json()["total"] == 4711


async def test_the_statement_is_asked_for_until_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_STATEMENT_RETRY", 0.01)
    times = iter([False, False])
    port = free_port()
    async with (
        serve_on(counting_server(lambda: next(times, True)), port),
        running_gateway(f"http://127.0.0.1:{port}/fhir", tmp_path) as gateway,
        asyncio.timeout(20),
    ):
        response = await gateway.request("/Observation?_summary=count")
        while response.status_code == 403:
            assert refusal_reason(response) == "count_not_exact"
            response = await gateway.request("/Observation?_summary=count")
        assert response.json()["total"] == 4711
