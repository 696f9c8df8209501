"""What is said of overload: every cause has its series before it happens."""

from gateway.asgi.requests_in_progress import ProgressLimits, RequestsInProgress
from gateway.commands.serving.client_connections.connections import ClientConnections, ConnectionBounds, Ended
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.overload_metrics import OverloadMetrics
from tests.telemetry.metric_samples import samples_of


def test_the_metrics_follow_what_happens() -> None:
    connections = ClientConnections(ConnectionBounds())
    in_progress = RequestsInProgress(ProgressLimits(total=10, per_client=5, per_address=5))
    metrics = Metrics()
    metrics.registry.register(OverloadMetrics(connections, in_progress))
    text = metrics.exposition_text().decode()
    assert all(f'smart_gateway_client_connections_ended_total{{cause="{cause}"}} 0.0' in text for cause in Ended)
    assert "smart_gateway_client_connections 0.0" in text
    connections.ended[Ended.SLOW_BODY] += 1
    for client in ("a", "a", "b"):
        in_progress.enter(("issuer", client))
    assert samples_of(metrics, "smart_gateway_client_connections_ended_total")[("slow_body",)] == 1
    assert samples_of(metrics, "smart_gateway_requests_in_progress") == {(): 3}
    assert samples_of(metrics, "smart_gateway_clients_in_progress") == {(): 2}
