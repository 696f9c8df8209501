"""What the metrics read of a running gateway is what has happened in it."""

from itertools import pairwise

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.metrics import Metrics
from tests.smart_server.admin_client import admin_request
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import RunningServer
from tests.telemetry.lost_lines import LostLines

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Reading:
    """The metrics of a server, read whenever they are asked for."""

    def __init__(self, server: RunningServer) -> None:
        self._metrics = Metrics()
        self._metrics.watch(server.gateway.watched_parts(LostLines()))

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name that have these labels."""
        families = text_string_to_metric_families(self._metrics.exposition_text().decode())
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        assert samples, f"{name} is not among the metrics"
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


async def test_tokens_connections_and_round_trips_are_those_of_the_gateway(
    clocked: tuple[RunningServer, AdjustableClock],
) -> None:
    server, _ = clocked
    reading = Reading(server)
    before = reading.total("smart_gateway_token_cache_entries")
    app = server.app("house-app")
    token = (await server.request_tokens(app, "openid patient/Patient.r"))["access_token"]
    assert (await app.read("/Patient/pat-a", token)).status_code == 200
    assert reading.total("smart_gateway_token_cache_entries") == before + 1
    assert reading.total("smart_gateway_pool_connections_opened_total") > 0
    assert reading.total("smart_gateway_pool_max_connections") == 32
    trips = reading.total("smart_gateway_store_round_trips_total")
    listened = reading.total("smart_gateway_store_round_trips_total", operation="listen")
    assert reading.total("smart_gateway_store_duration_seconds_count") == trips - listened > 0


async def test_only_the_first_use_of_a_token_asks_the_store(clocked: tuple[RunningServer, AdjustableClock]) -> None:
    server, _ = clocked
    reading = Reading(server)
    app = server.app("house-app")
    token = (await server.request_tokens(app, "openid patient/Patient.r"))["access_token"]
    counts = []
    for _ in range(6):
        counts.append(reading.total("smart_gateway_store_round_trips_total", operation="get"))
        assert (await app.read("/Patient/pat-a", token)).status_code == 200
    first, *others = (later - earlier for earlier, later in pairwise(counts))
    # The background tasks of this worker ask the store every few seconds, and may do so during one of the reads.
    assert first >= 2
    assert 0 in others


async def test_the_age_of_the_signing_key_is_that_of_the_one_that_signs(
    clocked: tuple[RunningServer, AdjustableClock],
) -> None:
    server, later = clocked
    reading = Reading(server)
    first = reading.total("smart_gateway_signing_key_timestamp_seconds")
    # The clock of this test stands still from before the key was made.
    assert abs(later.now - first) < 300
    later.advance(100)
    rotated = (await admin_request(server, "POST", "/keys/rotate")).json()
    assert reading.total("smart_gateway_signing_key_timestamp_seconds") == first
    later.advance(3601)
    assert reading.total("smart_gateway_signing_key_timestamp_seconds") == rotated["signs_from"]
