"""Real bulk clients export through the gateway, from sekmet-fhir and HAPI, all that their scopes cover and no more."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.fhir.request.interaction import ExportFile
from tests.clients.bulk_clients import install_smart_fetch, run_sekmet_client, run_smart_fetch
from tests.real_servers.servers_under_test import NEEDS_HAPI
from tests.servers.hapi_server import start_hapi
from tests.servers.load import load
from tests.servers.people import Resource
from tests.servers.process import NotAvailable
from tests.smart_server.running_server import BACKEND_KEY, RunningServer, public_jwks, run_smart_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUP = {
    "resourceType": "Group",
    "id": "export-group",
    "type": "person",
    "actual": True,
    "member": [{"entity": {"reference": "Patient/pat-a"}}],
}
_HAPI = pytest.param("hapi", marks=[pytest.mark.hapi, NEEDS_HAPI])
IN_FRONT_OF_SEKMET = pytest.mark.parametrize(
    "exporting", [pytest.param("sekmet", marks=pytest.mark.sekmet)], indirect=True, scope="module"
)
IN_FRONT_OF_HAPI = pytest.mark.parametrize("exporting", [_HAPI], indirect=True, scope="module")
CLIENTS = {
    "bulk-all": "system/*.rs",
    "bulk-labs": "system/Patient.rs system/Observation.rs?category=laboratory",
    "bulk-patients": "system/Patient.rs system/Group.rs",
}


@pytest.fixture(scope="module")
def exporting(request: pytest.FixtureRequest) -> Iterator[str]:
    """The base URL of a FHIR server with synthetic patients and a Group of one of them."""
    put = {"request": {"method": "PUT", "url": "Group/export-group"}, "resource": GROUP}
    group = {"resourceType": "Bundle", "type": "transaction", "entry": [put]}
    if request.param == "sekmet":
        base_url: str = request.getfixturevalue("fhir_server")
        load(base_url, [group])
        yield base_url
        return
    try:
        hapi = start_hapi(export=True)
    except NotAvailable as missing:
        pytest.skip(str(missing))
    with hapi:
        load(hapi.base_url, [group])
        yield hapi.base_url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bulk_server(exporting: str) -> AsyncIterator[RunningServer]:
    """The gateway in front of it, with a bulk client for each of `CLIENTS`."""

    def change(settings: dict[str, Any]) -> None:
        settings["bulk_export"] = {"group_needs_scope": False}
        settings["smart_server"]["clients"] += [
            {"client_id": client_id, "name": client_id, "type": "confidential-asymmetric",
             "grant_types": ["client_credentials"], "jwks": public_jwks(BACKEND_KEY), "scopes": scopes}
            for client_id, scopes in CLIENTS.items()
        ]  # fmt: skip

    async with run_smart_server(exporting, change=change) as running:
        assert (await running.http.get(f"{running.base}/metadata")).status_code == 200
        yield running


@pytest.fixture(scope="module", name="_smart_fetch")
def smart_fetch() -> None:
    try:
        install_smart_fetch()
    except NotAvailable as why:
        pytest.skip(str(why))


def exported(folder: Path) -> list[Resource]:
    """All resources that smart-fetch has written. Its log has the same form."""
    files = [file for file in (folder / "out").rglob("*.ndjson") if file.name != "log.ndjson"]
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def is_laboratory(resource: Resource) -> bool:
    codings = [coding for category in resource.get("category", []) for coding in category.get("coding", [])]
    return resource["resourceType"] == "Observation" and any(coding.get("code") == "laboratory" for coding in codings)


@IN_FRONT_OF_SEKMET
@pytest.mark.usefixtures("_smart_fetch")
async def test_smart_fetch_exports_what_its_client_may(bulk_server: RunningServer, tmp_path: Path) -> None:
    """Not in front of HAPI, which asks it to wait for two minutes between two questions."""
    options = ("--type", "Patient,Observation,Condition", "--no-default-filters")
    outcome = await run_smart_fetch(bulk_server, tmp_path, "bulk-labs", *options)
    assert outcome.status == 0, outcome.output
    resources = [resource for resource in exported(tmp_path) if resource["resourceType"] != "OperationOutcome"]
    assert {resource["resourceType"] for resource in resources} == {"Patient", "Observation"}
    assert all(resource["resourceType"] == "Patient" or is_laboratory(resource) for resource in resources)


@IN_FRONT_OF_SEKMET
@pytest.mark.usefixtures("_smart_fetch")
async def test_smart_fetch_exports_a_group(bulk_server: RunningServer, tmp_path: Path) -> None:
    """It asks for the scopes of the types that it exports alone, so that the Group needs none here."""
    options = ("--group", "export-group", "--type", "Patient")
    outcome = await run_smart_fetch(bulk_server, tmp_path, "bulk-patients", *options)
    assert outcome.status == 0, outcome.output
    assert {resource["id"] for resource in exported(tmp_path)} == {"pat-a"}


LABORATORY = ("bulk-labs", "--level", "system", "--type", "Patient,Observation")
EXPORTS_OF_HAPI = {
    "the system, with a constraint": LABORATORY,
    "all patients, with a type": ("bulk-patients", "--level", "patient"),
    "all patients, with a constraint": ("bulk-labs", "--level", "patient"),
    "a Group, with a type": ("bulk-patients", "--level", "group", "--group", "export-group"),
    "a Group, with everything": ("bulk-all", "--level", "group", "--group", "export-group"),
}


@IN_FRONT_OF_SEKMET
async def test_sekmets_client_finds_every_line_valid(bulk_server: RunningServer, tmp_path: Path) -> None:
    await check_export(bulk_server, tmp_path, LABORATORY)


@IN_FRONT_OF_HAPI
@pytest.mark.parametrize("options", EXPORTS_OF_HAPI.values(), ids=EXPORTS_OF_HAPI)
async def test_sekmets_client_finds_every_line_of_hapi_valid(
    bulk_server: RunningServer, tmp_path: Path, options: tuple[str, ...]
) -> None:
    await check_export(bulk_server, tmp_path, options)


async def check_export(bulk_server: RunningServer, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Export with sekmet's client, and look at what the gateway recorded of the files."""
    bulk_server.telemetry.records.clear()
    outcome = await run_sekmet_client(bulk_server, tmp_path, *options)
    assert (outcome.status, "VALID" in outcome.output) == (0, True), outcome.output
    files = [record for record in bulk_server.telemetry.records if isinstance(record.interaction, ExportFile)]
    assert files
    # What the server was asked for is what it sends: nothing is left for the last check to find.
    assert all(not record.narrowing_misses for record in files)
