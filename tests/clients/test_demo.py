"""`make run` in a real browser: sign in, pick a patient, launch the small app, see what was agreed to, end it."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.node import Node
from tests.servers.process import free_port, launch, leashed

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@contextlib.contextmanager
def demonstration(port: int, folder: Path) -> Iterator[None]:
    """What `make run` starts, from a port on that is free, as are the two after it."""
    command = leashed([sys.executable, "-m", "scripts.demo", "--port", str(port), "--folder", str(folder)])
    server = launch("demo", command, f"http://127.0.0.1:{port}", ready_path="/readyz", deadline_seconds=120)
    try:
        yield
    finally:
        server.stop()


async def test_the_demonstration_shows_what_was_agreed_to_until_it_is_ended(
    node: Node, chromium: str, tmp_path: Path
) -> None:
    port = free_port()
    told = {
        "origin": f"http://127.0.0.1:{free_port()}",
        "base": f"http://127.0.0.1:{port}/fhir",
        "issuer": f"http://127.0.0.1:{port}/auth",
        "app": f"http://127.0.0.1:{port + 1}/",
        "chromium": chromium,
    }
    with demonstration(port, tmp_path):
        seen = await node.run("browser/demo.mjs", told)
    assert "patient/*.rs" not in seen["alone"]["scope"]
    assert seen["alone"]["panels"]["Results"] > 10
    assert seen["alone"]["panels"]["Problems"].startswith("Not allowed")
    assert seen["launched"]["who"] != seen["alone"]["who"]
    assert seen["launched"]["panels"]["Problems"] >= 1
    assert seen["renewed"]
    assert seen["granted"] == 2
    assert "401" in str(seen["ended"])
