"""The image: built from the Dockerfile, and run as the chart runs it: a read-only root, a numeric user."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from scripts import image
from scripts.install_once import ROOT, NotAvailable
from tests.commands.serving_process import until
from tests.proxy.lenient_server import lenient_server
from tests.servers.ports import free_port

_MAX_MEGABYTES_ON_BASE = 100
_AS_THE_CHART = ("--read-only", "--user", "10001:10001", "--cap-drop", "all", "--security-opt", "no-new-privileges")


def _podman(*words: str, check: bool = True) -> str:
    done = subprocess.run(
        ["podman", *words], env=image.environment(), check=check, capture_output=True, text=True, timeout=120
    )
    return done.stdout.strip()


def _write(file: Path, config: Mapping[str, Any]) -> None:
    """Write it where another user may read it."""
    file.write_text(json.dumps(config))
    file.parent.chmod(0o755)


@pytest.fixture(scope="module")
def built() -> str:
    if os.environ.get("SMART_GATEWAY_CONTAINERS") != "1":
        pytest.skip("the image is built and run only with SMART_GATEWAY_CONTAINERS=1 (make test-image)")
    try:
        image.require_containers()
    except NotAvailable as problem:
        pytest.skip(str(problem))
    return image.build()


@pytest.fixture
def container() -> Iterator[str]:
    name = f"smart-gateway-test-{os.getpid()}"
    yield name
    _podman("rm", "--force", "--time", "0", name, check=False)


@pytest.fixture
async def upstream() -> AsyncIterator[str]:
    async with lenient_server({"resourceType": "Patient", "id": "A"}) as server:
        yield server.base_url


def test_the_dockerfile_is_clean() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(hadolint), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_only_what_the_image_is_made_of_is_sent_to_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        word
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    assert "*" in lines
    assert kept == copied
    assert all((ROOT / name).exists() for name in kept)


@pytest.mark.containers
def test_it_says_what_it_is_and_is_small(built: str) -> None:
    [told] = json.loads(_podman("image", "inspect", built))
    [base] = json.loads(_podman("image", "inspect", f"localhost/{image.base_name()}"))
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in told["Labels"].items()}
    assert labels["title"] == "smart-fhir-gateway"
    assert {"version", "revision", "created", "licenses"} <= labels.keys()
    assert (told["User"], told["Config"]["StopSignal"]) == ("10001:10001", "SIGTERM")
    megabytes = (told["Size"] - base["Size"]) / 1e6
    assert megabytes <= _MAX_MEGABYTES_ON_BASE


@pytest.mark.containers
def test_it_holds_no_installer_no_tests_and_no_cache(built: str) -> None:
    found = _podman(
        "run", "--rm", "--entrypoint", "find", built, "/opt/smart-gateway", "/tmp", "-name", "pip",
        "-o", "-name", "tests", "-o", "-name", "*.pyx", "-o", "-path", "*/.cache/*",
    )  # fmt: skip
    assert found == ""


@pytest.mark.containers
@pytest.mark.parametrize("workers", [1, 2])
async def test_it_serves_is_healthy_writes_nothing_and_ends_by_itself(
    built: str, container: str, upstream: str, tmp_path: Path, workers: int
) -> None:
    port = free_port()
    config = {
        "public_base_url": f"http://127.0.0.1:{port}/fhir",
        "development": True,
        "listen": {"host": "0.0.0.0", "port": port},
        "metrics": {"port": None},
        "upstream": {"base_url": upstream},
        "issuers": [],
        "shutdown": {"drain_seconds": 0.5},
        "smart_server": {"store": "redis://127.0.0.1:9"},
    }
    _write(tmp_path / "gateway.yaml", config)
    _podman(
        "run", "--detach", "--name", container, *_AS_THE_CHART, "--network", "host",
        "--volume", f"{tmp_path}:/etc/smart-gateway:ro", built,
        "serve", "--config", "/etc/smart-gateway/gateway.yaml", "--workers", str(workers),
    )  # fmt: skip

    def is_healthy() -> bool:
        done = subprocess.run(
            ["podman", "healthcheck", "run", container], env=image.environment(), capture_output=True, check=False
        )
        return done.returncode == 0

    await until(is_healthy)
    async with httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://127.0.0.1:{port}/fhir/Patient/A")).status_code == 401
        assert (await client.get(f"http://127.0.0.1:{port}/readyz")).text == "not ready: store_away\n"
    # On a read-only root these are all that can be written.
    written = _podman("exec", container, "find", "/tmp", "/var/tmp", "/dev/shm", "/run", "-type", "f", check=False)
    assert set(written.splitlines()) <= {"/run/.containerenv"}
    _podman("stop", "--time", "20", container)
    [state] = json.loads(_podman("inspect", container))
    assert state["State"]["ExitCode"] == 0, _podman("logs", container)


@pytest.mark.containers
def test_a_mistake_of_its_configuration_is_told(built: str) -> None:
    done = subprocess.run(
        ["podman", "run", "--rm", *_AS_THE_CHART, built, "check-config", "--config", "/etc/smart-gateway/gateway.yaml"],
        env=image.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert "/etc/smart-gateway/gateway.yaml: cannot be read: no such file or directory" in done.stderr
