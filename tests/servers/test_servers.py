"""Each real server starts, holds the population, and ends with the process that started it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import httpx2
import pytest

from tests.servers.hapi_server import start_hapi
from tests.servers.load import LoadError, load
from tests.servers.medplum_server import start_medplum
from tests.servers.people import PATIENTS
from tests.servers.population import population
from tests.servers.ports import free_port
from tests.servers.process import NotAvailable, Server, StartError, start_process, with_leash
from tests.servers.sekmet import start_sekmet

JSON = {"Accept": "application/fhir+json"}

NEEDS_HAPI = pytest.mark.skipif(
    os.environ.get("SMART_GATEWAY_HAPI") != "1", reason="HAPI FHIR runs only with SMART_GATEWAY_HAPI=1 (make test-hapi)"
)


def started(name: str) -> Server:
    """Start the server of that name. The test is skipped if the machine lacks a tool."""
    try:
        match name:
            case "sekmet":
                return start_sekmet()
            case "medplum":
                return start_medplum()
            case _:
                return start_hapi(strict=name == "hapi-strict")
    except NotAvailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("sekmet", marks=pytest.mark.sekmet),
        "medplum",
        pytest.param("hapi-easy", marks=[pytest.mark.hapi, NEEDS_HAPI]),
        pytest.param("hapi-strict", marks=[pytest.mark.hapi, NEEDS_HAPI]),
    ],
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with started(request.param) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.base_url, headers=JSON, trust_env=False, timeout=60) as client:
        yield client


def test_it_answers_its_capability_statement(client: httpx2.Client) -> None:
    statement = client.get("/metadata").json()
    assert statement["resourceType"] == "CapabilityStatement"
    assert statement["fhirVersion"] == "4.0.1"


def test_it_holds_every_patient(client: httpx2.Client) -> None:
    found = client.get("/Patient?_count=50").json()
    assert {entry["resource"]["id"] for entry in found["entry"]} == set(PATIENTS)


def test_it_holds_every_resource_under_its_own_id(client: httpx2.Client) -> None:
    for resource in population()[::7]:
        literal = f"{resource['resourceType']}/{resource['id']}"
        assert client.get(f"/{literal}").status_code == 200, literal


def test_it_finds_a_patients_observations(client: httpx2.Client) -> None:
    found = client.get("/Observation?patient=Patient/pat-a&_count=50").json()
    assert len(found["entry"]) >= 10
    for entry in found["entry"]:
        assert entry["resource"]["subject"]["reference"].partition("/_history/")[0] == "Patient/pat-a"


def test_it_says_what_it_refused(server: Server) -> None:
    with pytest.raises(LoadError, match="answered 4"):
        load(server.base_url, [{"resourceType": "Patient", "id": "x"}])


def test_a_server_that_ends_early_shows_the_end_of_its_log() -> None:
    with pytest.raises(StartError, match=r"(?s)broken ended with status 3.*no such file of mine"):
        start_process(
            "broken",
            [sys.executable, "-c", "import sys; print('no such file of mine'); sys.exit(3)"],
            f"http://127.0.0.1:{free_port()}",
        )


def test_a_server_that_stays_silent_is_given_up_at_the_deadline() -> None:
    with pytest.raises(StartError, match=r"silent did not answer .* in 0\.2 s"):
        start_process(
            "silent",
            with_leash([sys.executable, "-c", "import time; time.sleep(60)"]),
            f"http://127.0.0.1:{free_port()}",
            deadline_seconds=0.2,
        )


def test_a_leashed_command_ends_when_its_standard_input_does() -> None:
    held = "import sys, time; print('up', flush=True); time.sleep(60)"
    command = with_leash([sys.executable, "-c", held])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"up\n"
        process.stdin.close()
        assert process.wait(timeout=10) != 0
        assert process.stdout.read() == b"", "the pipe closes only when nobody holds it any more"
