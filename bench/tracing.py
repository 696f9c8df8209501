"""`python -m bench.tracing`: the CPU time of a read with traces, beside that of one without, in one process.

The FHIR server is a function, so that the gateway alone is measured: from the ASGI request to the response, with its
metrics, its audit line, and the thread that sends spans until the collector has the last one. The collector is a
process of its own, which takes everything. The variants take turns, and the smallest time of many rounds counts, so
that the figures can be repeated on a machine that does other work too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench import bodies
from gateway.asgi.types import Message, Scope
from gateway.credentials.development_key import load_or_create_key, public_jwks, sign_access_token
from gateway.lasting_parts import LastingParts
from gateway.proxy.build import build_proxy
from gateway.proxy.fhir_endpoint import FhirProxy
from gateway.proxy.fhir_server import FhirServer
from gateway.settings.model import Settings
from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.telemetry import Telemetry
from gateway.telemetry.tracing.build import build_tracer
from gateway.telemetry.tracing.span_export import SpanOutcome
from gateway.telemetry.tracing.tracer import Tracer
from gateway.upstream.exchange_types import Request

_ISSUER, _BASE, _UPSTREAM = "https://issuer.invalid", "https://gateway.invalid/fhir", "http://127.0.0.1:8080/fhir"
_TRACEPARENT = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
_READS_PER_ROUND = 256
# The spans of a read whose token and decision are remembered: the request, the question and its verification.
_SPANS = 3
WITHOUT = "no traces"
# Reads one body after the other, and answers each with an empty response, which accepts all of it.
_COLLECTOR = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class _Response:
    """The response of the FHIR server, which is there at once."""

    status = 200

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.headers = [(b"content-type", b"application/fhir+json")]

    async def read(self, limit: int) -> bytes:
        assert len(self._body) <= limit
        return self._body

    async def stream(self) -> AsyncIterator[bytes]:
        yield self._body

    async def aclose(self) -> None:
        pass


class _Exchange:
    """The FHIR server: it answers everything with the same observation."""

    def __init__(self) -> None:
        self._body = bodies.compact(bodies.observation("obs-1", bodies.PATIENT, 1))

    async def send(self, _: Request) -> _Response:
        return _Response(self._body)

    async def aclose(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Variant:
    """A gateway, and the request that it gets."""

    application: FhirProxy
    scope: Scope
    tracer: Tracer | None
    lasting: LastingParts


async def _receive() -> Message:
    return {"type": "http.request", "body": b""}


async def _send(message: Message) -> None:
    if message.get("status", 200) != 200:
        raise SystemExit(f"the gateway answered {message}")


def _build(folder: Path, tracing: dict[str, Any] | None, *headers: tuple[bytes, bytes]) -> Variant:
    key, jwks = load_or_create_key(folder / "key.json"), folder / "jwks.json"
    jwks.write_text(json.dumps(public_jwks(key)), encoding="ascii")
    settings = Settings.model_validate(
        {
            "public_base_url": _BASE,
            "upstream": {"base_url": _UPSTREAM},
            "issuers": [{"issuer": _ISSUER, "audiences": [_BASE], "jwks_file": str(jwks)}],
            "audit": {"destination": str(folder / "audit")},
            "tracing": tracing,
        }
    )
    lasting = LastingParts(settings)
    tracer = build_tracer(settings, lasting.span_exports)
    server = FhirServer(_Exchange(), urlsplit(_UPSTREAM).path.encode(), body_limit=1 << 20)
    telemetry = Telemetry(Metrics(), AuditLog.from_settings(settings.audit))
    proxy = build_proxy(settings, server, lasting.control_client, telemetry, None, lasting.proxy, tracer)
    claims = {
        "iss": _ISSUER,
        "aud": _BASE,
        "sub": "someone",
        "client_id": "app",
        "scope": "patient/*.rs",
        "patient": bodies.PATIENT,
        "exp": int(time.time()) + 3600,
    }
    authorization = (b"authorization", b"Bearer " + sign_access_token(key, claims).encode())
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "raw_path": b"/fhir/Observation/obs-1",
        "path": "/fhir/Observation/obs-1",
        "query_string": b"",
        "headers": [(b"host", b"gateway.invalid"), (b"accept", b"*/*"), authorization, *headers],
        "client": ("192.0.2.1", 5000),
    }
    return Variant(proxy.application, scope, tracer, lasting)


async def _read(variant: Variant, times: int) -> float:
    """CPU microseconds of a read, with all that follows from it."""
    counts = variant.lasting.span_exports.counts.counts
    expected = counts[SpanOutcome.EXPORTED] + _SPANS * times
    started = time.process_time_ns()
    for _ in range(times):
        # A task for each, as the server has it.
        await asyncio.create_task(variant.application(dict(variant.scope), _receive, _send))
    await _until_sent(variant)
    taken = (time.process_time_ns() - started) / 1000 / times
    if variant.tracer is not None and counts[SpanOutcome.EXPORTED] not in {expected, 0}:
        raise SystemExit(f"spans are missing: {counts}")
    return taken


async def _until_sent(variant: Variant) -> None:
    """Look seldom, because looking costs time as well."""
    while variant.tracer is not None and variant.tracer.export.waiting:  # noqa: ASYNC110 - a thread sends
        await asyncio.sleep(0.2)


async def measure(variants: dict[str, Variant], rounds: int) -> dict[str, float]:
    """The least CPU microseconds of a read for each variant, over rounds in which all take turns."""
    for variant in variants.values():
        # The first one checks its token, decides and has more spans.
        await asyncio.create_task(variant.application(dict(variant.scope), _receive, _send))
        await _until_sent(variant)
    least = dict.fromkeys(variants, float("inf"))
    for _ in range(rounds):
        for name, variant in variants.items():
            least[name] = min(least[name], await _read(variant, _READS_PER_ROUND))
    return least


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.tracing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help=f"rounds of {_READS_PER_ROUND} reads for each (100)")
    rounds = parser.parse_args().rounds
    command = [sys.executable, "-c", _COLLECTOR]
    with (
        tempfile.TemporaryDirectory() as name,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as collector,
    ):
        assert collector.stdout is not None
        tracing = {"endpoint": f"http://127.0.0.1:{int(collector.stdout.readline())}/v1/traces"}
        folder, ratio = Path(name), {**tracing, "parent_based": False}
        variants = {
            WITHOUT: _build(folder, None),
            "no traces, traceparent passed on": _build(folder, None, _TRACEPARENT),
            "traces, not recorded": _build(folder, {**ratio, "sample_ratio": 0}),
            "traces, recorded": _build(folder, tracing, _TRACEPARENT),
        }
        least = asyncio.run(measure(variants, rounds))
        collector.terminate()
    print(f"{'a read':36}{'CPU us':>9}{'x without':>11}")
    for name, microseconds in least.items():
        print(f"{name:36}{microseconds:>9.1f}{microseconds / least[WITHOUT]:>11.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
