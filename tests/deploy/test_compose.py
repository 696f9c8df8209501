"""deploy/compose.yaml: every part is confined, and the gateway, its Redis and HAPI work together as it says."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from gateway.commands.serving.start_rules import START_RULES, shared_store_rule
from gateway.settings.loading.load import load_settings
from scripts import image
from scripts.install_once import ROOT, NotAvailable
from tests.commands.serving_process import until
from tests.kubernetes.images import SERVERS_IMAGE, servers_image
from tests.servers.ports import free_port

FOLDER = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_part_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    user = service["user"].split(":")
    assert all(number.isdigit() and int(number) > 0 for number in user)
    assert {"mem_limit", "cpus", "pids_limit", "healthcheck", "restart"} <= service.keys()


def test_ports_are_of_this_machine_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_only_the_gateway_reaches_the_fhir_server_and_the_store() -> None:
    for network, other in (("fhir", "hapi"), ("store", "redis")):
        assert {name for name, service in SERVICES.items() if network in service["networks"]} == {"gateway", other}
        assert COMPOSE["networks"][network] == {"internal": True}
        assert SERVICES[other]["networks"] == [network]


def test_what_is_mounted_is_there() -> None:
    files = [
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    assert "./monitoring/dashboard.json" in files
    assert [name for name in files if not (FOLDER / name).is_file()] == []


def test_the_gateways_settings_are_valid_and_leave_it_time_to_end() -> None:
    settings = load_settings(FOLDER / "compose" / "gateway.yaml", {}, (*START_RULES, shared_store_rule(2)))
    needed = settings.shutdown.drain_seconds + settings.shutdown.finish_seconds
    assert needed < float(SERVICES["gateway"]["stop_grace_period"].removesuffix("s"))
    assert settings.upstream.base_url == SERVICES["hapi"]["environment"]["hapi.fhir.server_address"]


def _compose(*words: str, files: list[Path], environment: dict[str, str]) -> str:
    """The output of podman-compose."""
    options = [word for file in files for word in ("--file", str(file))]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("podman-compose")), "--no-ansi", *options, *words],
        env={**image.environment(), **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def built() -> str:
    if os.environ.get("SMART_GATEWAY_CONTAINERS") != "1":
        pytest.skip("deploy/compose.yaml is started only with SMART_GATEWAY_CONTAINERS=1 (make test-image)")
    try:
        image.require_containers()
        servers = servers_image()
    except NotAvailable as problem:
        pytest.skip(str(problem))
    subprocess.run(
        ["podman", "load", "--quiet", "--input", str(servers)], env=image.environment(), check=True, capture_output=True
    )
    return image.build()


@dataclass
class Running:
    """The addresses of what deploy/compose.yaml publishes."""

    gateway: str
    prometheus: str
    alertmanager: str


@pytest.fixture
def running(built: str, tmp_path: Path) -> Iterator[Running]:
    """What is started as deploy/compose.yaml says, in images of the tests; there is no Grafana without a registry."""
    ports = {f"{name.upper()}_PORT": str(free_port()) for name in ("gateway", "prometheus", "alertmanager")}
    stand_ins = tmp_path / "stand-ins.yaml"
    java = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Daddress=0.0.0.0"]
    hapi = ["java", *java, "-cp", "/opt/hapi/classes:/opt/hapi/jars/*", "HapiServer", "8080"]
    redis = ["redis-server", "--dir", "/tmp", *SERVICES["redis"]["command"][1:]]
    services = {
        # It ends with its standard input.
        "hapi": {"image": SERVERS_IMAGE, "command": hapi, "stdin_open": True},
        "redis": {"image": SERVERS_IMAGE, "command": redis},
        **{
            name: {"image": SERVERS_IMAGE, "command": [program, *SERVICES[name]["command"]]}
            for name, program in (("prometheus", "prometheus"), ("alertmanager", "prometheus-alertmanager"))
        },
    }
    stand_ins.write_text(json.dumps({"services": services}))
    environment = {
        "GATEWAY_IMAGE": built,
        **ports,
        "COMPOSE_PROJECT_NAME": f"smart-gateway-test-{uuid.uuid4().hex[:8]}",
    }
    files = [FOLDER / "compose.yaml", stand_ins]
    try:
        _compose("up", "--detach", *services, "gateway", files=files, environment=environment)
        yield Running(*(f"http://127.0.0.1:{port}" for port in ports.values()))
    finally:
        _compose("down", "--volumes", "--timeout", "30", files=files, environment=environment)


# Making the images may take minutes the first time.
@pytest.mark.containers
@pytest.mark.timeout(900)
async def test_the_gateway_its_redis_and_hapi_work_together_and_are_watched(running: Running) -> None:
    def readiness() -> str:
        try:
            return httpx2.get(f"{running.gateway}/readyz", trust_env=False).text
        except httpx2.TransportError as error:
            return str(error)

    # HAPI alone takes a minute where the machine is busy.
    await until(lambda: readiness().startswith("ready\n"), seconds=240)
    async with httpx2.AsyncClient(trust_env=False) as client:
        configuration = (await client.get(f"{running.gateway}/r4/.well-known/smart-configuration")).json()
        assert configuration["token_endpoint"] == "https://fhir.example.org/auth/token"
        assert (await client.get(f"{running.gateway}/r4/metadata")).status_code == 200
        assert (await client.get(f"{running.gateway}/r4/Patient/x")).status_code == 401

    def watched() -> list[str]:
        """What Prometheus says of its targets, of its rules, and of where its alerts go."""
        api = f"{running.prometheus}/api/v1"
        try:
            answers = [httpx2.get(f"{api}/{name}", trust_env=False).json()["data"] for name in ("targets", "rules")]
            receivers = httpx2.get(f"{api}/alertmanagers", trust_env=False).json()["data"]["activeAlertmanagers"]
        except httpx2.TransportError as error:
            return [str(error)]
        targets, rules = answers
        health = {target["health"] for target in targets["activeTargets"]}
        health |= {rule["health"] for group in rules["groups"] for rule in group["rules"]}
        return [*sorted(health - {"unknown"}), *(receiver["url"] for receiver in receivers)]

    await until(lambda: watched() == ["ok", "up", "http://alertmanager:9093/api/v2/alerts"], seconds=90)
    status = httpx2.get(f"{running.alertmanager}/api/v2/status", trust_env=False).json()
    assert status["config"]["original"], "it has read its configuration"
