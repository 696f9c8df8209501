"""`make run` in a real browser: sign in, choose a patient, start the demo app, see its access, and end it."""

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from scripts.demo_records import patient_name
from tests.clients.node import Node
from tests.servers.ports import free_port
from tests.servers.process import start_process, with_leash

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@contextlib.contextmanager
def demonstration(port: int, app_port: int, folder: Path) -> Iterator[None]:
    """What `make run` starts, the app on a port of its own."""
    ports = ["--port", str(port), "--app-port", str(app_port), "--metrics-port", str(free_port())]
    command = with_leash([sys.executable, "-m", "scripts.demo", *ports, "--folder", str(folder)])
    server = start_process("demo", command, f"http://127.0.0.1:{port}", ready_path="/readyz", deadline_seconds=120)
    try:
        yield
    finally:
        server.stop()


async def test_the_demonstration_shows_what_was_agreed_to_until_it_is_ended(
    node: Node, chromium: str, tmp_path: Path
) -> None:
    port, app_port = free_port(), free_port()
    arguments = {
        "origin": f"http://127.0.0.1:{free_port()}",
        "base": f"http://127.0.0.1:{port}/fhir",
        "issuer": f"http://127.0.0.1:{port}/auth",
        "app": f"http://127.0.0.1:{app_port}/",
        "chromium": chromium,
    }
    with demonstration(port, app_port, tmp_path):
        seen = await node.run("browser/demo.mjs", arguments)
    assert "patient/*.rs" not in seen["alone"]["scope"]
    assert seen["alone"]["panels"]["Results"] > 10
    assert seen["alone"]["panels"]["Problems"].startswith("Not allowed: No scope of the access token")
    assert "scope_insufficient" in seen["alone"]["panels"]["Problems"]
    assert seen["reloaded"] == seen["alone"]
    assert seen["back"] == {"heading": "The app has been connected", "link": arguments["app"]}
    assert seen["launched"]["who"] != seen["alone"]["who"]
    assert seen["launched"]["panels"]["Problems"] >= 1
    assert seen["renewed"]
    assert seen["granted"] == 2
    assert (seen["ended"]["who"], seen["ended"]["panels"], seen["ended"]["again"]) == ("The access has ended", {}, True)
    assert "You can connect it again." in seen["ended"]["problem"]
    given, family = patient_name("pat-a")
    assert seen["alone"]["who"] == f"{given} {family}"
    assert f"{given} {family}" in seen["patient"], "who signs in as the patient is the patient"
    assert not re.search(r"secret|marker|test|pat-b|undefined", seen["words"], re.IGNORECASE)


async def test_the_app_is_served_for_a_gateway_anywhere(node: Node) -> None:
    port, iss = free_port(), "https://fhir.example.org/r4"
    command = with_leash([sys.executable, "-m", "scripts.demo_app", iss, "--port", str(port)])
    server = start_process("app", command, f"http://127.0.0.1:{port}", ready_path="/settings.json", deadline_seconds=60)
    try:
        async with httpx2.AsyncClient() as browser:
            assert (await browser.get(f"{server.base_url}/settings.json")).json() == {"iss": iss}
        assert f"--redirect-uri http://127.0.0.1:{port}/index.html" in server.log.read_text()
    finally:
        server.stop()
