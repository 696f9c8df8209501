"""One cluster for all tests of this folder, with HAPI, Redis and the gateway; its figures are printed at the end."""

import os
import time
from collections.abc import Iterator

import pytest

from scripts.install_once import NotAvailable
from tests.kubernetes.cluster import run_cluster
from tests.kubernetes.deployment import Deployment, deploy
from tests.kubernetes.images import gateway_image, pause_image, servers_image

_FIGURES: dict[str, str] = {}


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    if os.environ.get("SMART_GATEWAY_KUBERNETES") != "1":
        pytest.skip("Kubernetes runs only with SMART_GATEWAY_KUBERNETES=1 (make test-kubernetes)")
    try:
        images = [pause_image(), servers_image(), gateway_image()]
        started = time.monotonic()
        with run_cluster(images) as cluster:
            _FIGURES["cluster ready after"] = f"{time.monotonic() - started:.0f} s"
            with deploy(cluster) as running:
                yield running
                _FIGURES.update(running.figures)
            ending = time.monotonic()
        _FIGURES["torn down in"] = f"{time.monotonic() - ending:.0f} s"
    except NotAvailable as problem:
        pytest.skip(str(problem))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _FIGURES:
        terminalreporter.section("Kubernetes, measured")
        for what, figure in _FIGURES.items():
            terminalreporter.write_line(f"{what}: {figure}")
