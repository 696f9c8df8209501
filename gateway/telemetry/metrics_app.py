"""The page from which Prometheus reads the metrics, as an ASGI application."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from prometheus_client import CONTENT_TYPE_LATEST

_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Exposition(Protocol):
    """The metrics of one process, or the sum over several workers."""

    def exposition_text(self) -> bytes:
        """All metrics in the Prometheus text format."""


class MetricsApp:
    """The ASGI application for the metrics port: `GET /metrics` and nothing else."""

    def __init__(self, metrics: Exposition) -> None:
        self._metrics = metrics

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Respond to one request."""
        if scope["type"] != "http":
            return
        if scope["path"] != "/metrics":
            await _respond(send, 404, b"Metrics are at /metrics.\n", b"text/plain; charset=utf-8")
        elif scope["method"] not in {"GET", "HEAD"}:
            await _respond(
                send, 405, b"Use GET to read the metrics.\n", b"text/plain; charset=utf-8", (b"allow", b"GET, HEAD")
            )
        else:
            body = self._metrics.exposition_text()
            length = (b"content-length", b"%d" % len(body))
            await _respond(send, 200, b"" if scope["method"] == "HEAD" else body, CONTENT_TYPE_LATEST.encode(), length)


async def _respond(send: _Send, status: int, body: bytes, content_type: bytes, *headers: tuple[bytes, bytes]) -> None:
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type), *headers]}
    )
    await send({"type": "http.response.body", "body": body})
