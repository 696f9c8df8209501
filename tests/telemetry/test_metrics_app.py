"""The page of the metrics: at its path alone, and only to be read."""

from typing import Any

from gateway.telemetry.metrics import Metrics
from gateway.telemetry.metrics_app import MetricsApp


async def _ask(path: str, method: str = "GET", metrics: Metrics | None = None) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    app = MetricsApp(metrics or Metrics())
    await app({"type": "http", "path": path, "method": method}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


async def test_the_metrics_are_at_their_path_and_nothing_else_is() -> None:
    metrics = Metrics()
    status, headers, body = await _ask("/metrics", metrics=metrics)
    assert (status, headers[b"content-type"].partition(b";")[0]) == (200, b"text/plain")
    assert b"smart_gateway_requests" in body
    assert int(headers[b"content-length"]) == len(body)
    assert (await _ask("/metrics", "HEAD"))[::2] == (200, b"")
    for path in ("/", "/metrics/", "/Metrics", "/metrics/x", "/fhir/metrics"):
        assert (await _ask(path))[0] == 404
    assert (await _ask("/metrics", "POST"))[0] == 405
