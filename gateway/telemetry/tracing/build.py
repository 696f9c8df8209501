"""Builds what records the requests of one gateway."""

from importlib.util import find_spec

from gateway.policy.permission.operation_rule import list_enabled_operations
from gateway.settings.model import Settings
from gateway.telemetry.tracing.span_export import SharedSpanExports
from gateway.telemetry.tracing.tracer import Tracer


def can_encode_spans() -> bool:
    """Whether the packages of the extra `otel` are installed."""
    try:
        return find_spec("opentelemetry.proto.collector.trace.v1.trace_service_pb2") is not None
    except ModuleNotFoundError:
        return False


def build_tracer(settings: Settings, exports: SharedSpanExports) -> Tracer | None:
    """The tracer; None where traces are not configured. Its export is to be given back."""
    if settings.tracing is None:
        return None
    operations = {name for names in list_enabled_operations(settings.rules().operations).values() for name in names}
    export = exports.take(settings.tracing)
    return Tracer(settings.tracing, export, settings.upstream.base_url, operations | {"export"})
