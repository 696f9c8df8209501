"""The chart's own Redis after a crash of its primary and after a power cut: one primary, no confirmed write lost."""

import os
import time
from collections.abc import Iterator

import pytest

from scripts.install_once import NotAvailable
from tests.chart.redis_pods import REPLICAS, RedisPods, run_redis_pods

pytestmark = [pytest.mark.containers, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisPods]:
    if os.environ.get("SMART_GATEWAY_CONTAINERS") != "1":
        pytest.skip("the pods of Redis are started only with SMART_GATEWAY_CONTAINERS=1 (make test-image)")
    try:
        with run_redis_pods(tmp_path_factory.mktemp("redis")) as running:
            yield running
    except NotAvailable as problem:
        pytest.skip(str(problem))


def _settled_primary(pods: RedisPods) -> int:
    """The primary, once all pods agree on it, and each replica may take over."""
    deadline = time.monotonic() + 60
    while (primary := pods.primary()) is None or not pods.are_settled():
        assert time.monotonic() < deadline, "the pods do not agree"
        pods.probe()
    return primary


# The Sentinels act after 2 seconds, and have acted after 4.
@pytest.mark.parametrize("delay", [0.0, 1.5, 2.3, 2.6, 6.0])
def test_a_primary_that_crashed_never_becomes_a_second_one(pods: RedisPods, delay: float) -> None:
    before = _settled_primary(pods)
    pods.servers[before].delay = delay
    pods.servers[before].kill()
    deadline = time.monotonic() + 40
    while pods.primary() in {None, before}:
        assert time.monotonic() < deadline
        assert len(pods.primaries()) <= 1
    assert _settled_primary(pods) != before


@pytest.mark.parametrize("slow_pod", ["primary", "replica"])
def test_a_power_cut_loses_no_confirmed_write(pods: RedisPods, slow_pod: str) -> None:
    primary = _settled_primary(pods)
    behind, confirming = [pod for pod in range(REPLICAS) if pod != primary]
    # One replica stops replicating. Its data are those of a moment ago.
    pods.ask(behind, "replicaof", "no", "one")
    deadline = time.monotonic() + 20
    while not pods.write(primary, "taken", slow_pod):
        assert time.monotonic() < deadline, "no replica confirms a write"
    for pod in range(REPLICAS):
        slow = primary if slow_pod == "primary" else confirming
        delay = 5.0 if pod == slow else 0.5
        pods.servers[pod].delay = pods.sentinels[pod].delay = delay
    for container in (*pods.sentinels, *pods.servers):
        container.kill()
    after = _settled_primary(pods)
    assert pods.ask(after, "get", "taken") == [slow_pod]
