"""A bare ASGI application that sends the same bytes as the upstream: the cost of uvicorn without any work."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.bodies import BUNDLE, READ, Site

_SITE = Site(Path(os.environ["BENCH_SITE"]))
_BODIES = {
    READ: _SITE.read.read_bytes(),
    BUNDLE.partition("?")[0]: _SITE.bundle("all").read_bytes(),
}
_EMPTY = b"{}"


async def app(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Respond by the path alone; the query is ignored."""
    if scope["type"] != "http":
        return
    body = _BODIES.get(scope["path"], _EMPTY)
    headers = [(b"content-type", b"application/fhir+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
