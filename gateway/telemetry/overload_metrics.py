"""What the metrics say of overload: requests in progress, connections, and those that were ended."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.telemetry.metric_types import Counter


class ConnectionState(Protocol):
    """The connections of clients."""

    @property
    def count(self) -> int:
        """How many are open."""

    @property
    def ended(self) -> Mapping[Any, int]:
        """How many were refused or ended, by a cause, which is an `Enum`."""


class ProgressState(Protocol):
    """The requests in progress."""

    @property
    def total(self) -> int:
        """How many there are."""

    @property
    def clients(self) -> int:
        """Of how many clients and addresses they are."""


class OverloadMetrics:
    """A collector of one process, whatever configuration is in force."""

    def __init__(self, connections: ConnectionState, in_progress: ProgressState) -> None:
        self._connections = connections
        self._in_progress = in_progress

    def collect(self) -> Iterator[Metric]:
        """The metrics; called by the registry."""
        yield GaugeMetricFamily(
            "smart_gateway_client_connections", "Open connections of clients.", self._connections.count
        )
        ended = Counter(
            "smart_gateway_client_connections_ended",
            "Connections of clients that the gateway refused or ended.",
            ("cause",),
        )
        ended.counts.update({(cause.value,): count for cause, count in self._connections.ended.items()})
        yield ended.to_family()
        yield GaugeMetricFamily("smart_gateway_requests_in_progress", "Requests in progress.", self._in_progress.total)
        yield GaugeMetricFamily(
            "smart_gateway_clients_in_progress",
            "Clients, and addresses without a token, that have requests in progress.",
            self._in_progress.clients,
        )
