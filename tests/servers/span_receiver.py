"""A receiver of OTLP over HTTP in the event loop of the test, by OpenTelemetry's own protobuf definitions."""

import contextlib
import gzip
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from gateway.asgi.types import Receive, Scope, Send
from tests.commands.serving_process import until
from tests.proxy.running_gateway import serve_on
from tests.servers.ports import free_port

_KINDS = {1: "internal", 2: "server", 3: "client"}


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it arrived. Ids are hexadecimal digits; `parent_id` is empty for the first span of a trace."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    is_error: bool
    nanoseconds: tuple[int, int]
    text: str = field(repr=False)


@dataclass
class SpanReceiver:
    """`responses` are statuses, with headers, for the next exports; afterwards all are accepted."""

    port: int
    spans: list[ReceivedSpan] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    responses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    rejected: int = 0
    bodies: list[bytes] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        """Where exports are sent."""
        return f"http://127.0.0.1:{self.port}/v1/traces"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one export."""
        assert (scope["method"], scope["path"]) == ("POST", "/v1/traces")
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        assert headers["content-type"] == "application/x-protobuf"
        self.headers.append(headers)
        status, fields = self.responses.pop(0) if self.responses else (200, {})
        if status == 200:
            plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            self.bodies.append(plain)
            self.spans.extend(read_spans(ExportTraceServiceRequest.FromString(plain)))
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = self.rejected
        encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": response.SerializeToString()})

    async def wait_for(self, count: int) -> list[ReceivedSpan]:
        """Wait until at least so many spans have arrived. The spans in the order in which they began."""
        await until(lambda: len(self.spans) >= count)
        return sorted(self.spans, key=lambda span: span.nanoseconds)

    async def wait_for_servers(self, count: int) -> list[ReceivedSpan]:
        """Wait until so many requests have arrived with their spans. Those of the requests themselves, in order."""
        await until(lambda: len(self.servers()) >= count)
        return self.servers()

    def servers(self) -> list[ReceivedSpan]:
        """The spans of the requests that have arrived, in the order in which they began."""
        found = [span for span in self.spans if span.kind == "server"]
        return sorted(found, key=lambda span: span.nanoseconds)

    def children_of(self, parent: ReceivedSpan) -> list[ReceivedSpan]:
        """The steps of a request, in the order in which they began."""
        found = [span for span in self.spans if span.parent_id == parent.span_id]
        return sorted(found, key=lambda span: span.nanoseconds)


@contextlib.asynccontextmanager
async def span_receiver() -> AsyncIterator[SpanReceiver]:
    """A receiver on a free port."""
    receiver = SpanReceiver(free_port())
    async with serve_on(receiver, receiver.port):
        yield receiver


def read_spans(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    """The spans of an export."""
    for resource_spans in request.resource_spans:
        resource = _read_attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield ReceivedSpan(
                    span.name,
                    _KINDS[span.kind],
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    _read_attributes(span.attributes),
                    resource,
                    span.status.code == 2,
                    (span.start_time_unix_nano, span.end_time_unix_nano),
                    str(span),
                )


def _read_attributes(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
