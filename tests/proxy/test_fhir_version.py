"""A FHIR server of another version than R4 is said to be one, at start and by `/readyz`, and nothing of it is shown."""

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.proxy import scripted_server as scripted_module
from tests.proxy.leaked_marks import is_refused
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.scripted_server import make_resource, scripted_server

OWN = make_resource("Observation", "o", status="final", code={"text": "x"}, subject={"reference": "Patient/pat-a"})


def state_version(monkeypatch: pytest.MonkeyPatch, version: Any, resource_type: str = "CapabilityStatement") -> None:
    statement = {"resourceType": resource_type, "fhirVersion": version, "rest": []}
    monkeypatch.setattr(scripted_module, "STATEMENT", (200, statement, {}))


async def readiness(gateway: RunningGateway) -> tuple[int, str]:
    response = await gateway.client.get(gateway.base_url.removesuffix("/fhir") + "/readyz")
    return response.status_code, response.text


def logged_versions(caplog: pytest.LogCaptureFixture) -> list[tuple[int, Any]]:
    """The levels of the lines that name a FHIR version, and the versions."""
    return [
        (record.levelno, record.__dict__["fhir_version"])
        for record in caplog.records
        if "fhir_version" in record.__dict__
    ]


OTHERS: dict[str, tuple[Any, str, str]] = {
    "DSTU2": ("1.0.2", "Conformance", "1.0.2"),
    "STU3": ("3.0.2", "CapabilityStatement", "3.0.2"),
    "a ballot of R4": ("3.5.0", "CapabilityStatement", "3.5.0"),
    "a ballot of R5": ("4.2.0", "CapabilityStatement", "4.2.0"),
    "R5": ("5.0.0", "CapabilityStatement", "5.0.0"),
    "R6": ("6.0.0-ballot2", "CapabilityStatement", "6.0.0-ballot2"),
    "what only begins like R4": ("4.01", "CapabilityStatement", "4.01"),
    "a name": ("R4", "CapabilityStatement", "R4"),
    "a number": (4.0, "CapabilityStatement", "of no form"),
    "two lines": ("5.0\nready", "CapabilityStatement", "5.0ready"),
}


@pytest.mark.parametrize(("version", "resource_type", "told"), OTHERS.values(), ids=OTHERS)
async def test_nothing_of_a_server_is_shown_that_speaks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    version: Any,
    resource_type: str,
    told: str,
) -> None:
    state_version(monkeypatch, version, resource_type)
    async with (
        scripted_server(lambda *_: (200, OWN, {})) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        for _ in range(2):
            assert is_refused(await gateway.request("/metadata", None), 502, "upstream_version_unsupported")
            assert await readiness(gateway) == (
                503, f"not ready: upstream_version_unsupported\nIt states FHIR version {told}.\n"
            )  # fmt: skip
            for scope in ("patient/*.rs", "system/*.rs"):
                refused = await gateway.request("/Observation/o", scope)
                assert is_refused(refused, 502, "upstream_version_unsupported")
        assert logged_versions(caplog) == [(logging.ERROR, "" if told == "of no form" else told)]
        assert "Observation/o" not in server.requests


R4_AND_NEAR: dict[str, tuple[Any, str]] = {
    "R4": ("4.0.1", ""),
    "the first R4": ("4.0.0", ""),
    "R4 without its last number": ("4.0", ""),
    "R4B": ("4.3.0", "R4B"),
    "a ballot of R4B": ("4.1.0", "R4B"),
    "no version": (None, "states no FHIR version"),
}


@pytest.mark.parametrize(("version", "warning"), R4_AND_NEAR.values(), ids=R4_AND_NEAR)
async def test_a_server_is_used_that_states(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    version: Any,
    warning: str,
) -> None:
    state_version(monkeypatch, version)
    async with (
        scripted_server(lambda *_: (200, OWN, {})) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        for _ in range(2):
            assert (await gateway.request("/metadata", None)).status_code == 200
            status, text = await readiness(gateway)
            assert (status, text.startswith("ready\n"), warning in text) == (200, True, True)
            assert bool(warning) == (text != "ready\n")
            assert (await gateway.request("/Observation/o")).status_code == 200
        assert logged_versions(caplog) == ([(logging.WARNING, version or "")] if warning else [])


async def test_a_server_that_is_replaced_by_one_of_r4_is_used_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_version(monkeypatch, "3.0.2")
    async with (
        scripted_server(lambda *_: (200, OWN, {})) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        assert (await readiness(gateway))[0] == 503
        assert (await gateway.request("/Observation/o")).status_code == 502
        state_version(monkeypatch, "4.0.1")
        assert await readiness(gateway) == (200, "ready\n")
        assert (await gateway.request("/Observation/o")).status_code == 200
