"""Real clients write through the gateway: their own records are changed, and each refusal tells them why."""

import json
import re
import sys
from typing import Any

import pytest

from tests.clients.node import Node
from tests.clients.python_scripts import run_script
from tests.clients.running_server import WRITING_SCOPE, Ports
from tests.clients.writing_clients import python_with_writing_clients
from tests.servers.people import Resource
from tests.servers.process import NotAvailable
from tests.smart_server.running_server import CALLBACK, RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

OTHERS = {"other": "pat-b", "foreign": "pat-b-smoking"}
URN = "urn:uuid:22222222-2222-4222-8222-222222222222"


@pytest.fixture(scope="module")
def python() -> str:
    """A Python with fhirpy and fhir-kindling."""
    try:
        return python_with_writing_clients()
    except NotAvailable as why:
        pytest.skip(str(why))


async def launched(server: RunningServer) -> dict[str, Any]:
    """What a client is told after a launch: the base, its token, and the patient."""
    tokens = await server.request_tokens(server.app("public-app"), WRITING_SCOPE)
    return {"base": server.base, "token": tokens["access_token"], "patient": tokens["patient"], **OTHERS}


def reason(outcome: Any) -> str:
    """The reason in an OperationOutcome, or in a text that quotes one."""
    text = outcome if isinstance(outcome, str) else json.dumps(outcome)
    codings = re.findall(r'"code":\s*"([a-z_]+)"', text)
    return next((code for code in codings if "_" in code), "")


async def test_fhirclient_in_a_browser_writes(server: RunningServer, node: Node, chromium: str, ports: Ports) -> None:
    arguments = {
        "origin": ports.page_origin, "base": server.base, "issuer": server.issuer, "chromium": chromium,
        "clientId": "browser-app", "scope": WRITING_SCOPE, "page": "writing.html",
    }  # fmt: skip
    told = await node.run("browser/writing.mjs", arguments)
    # Chromium logs the status of each refusal.
    complaints = [text for text in told.pop("complaints") if "the server responded with a status of 4" not in text]
    assert complaints == []
    errors = {name: told.pop(name) for name in ("stale", "toAnother", "ofAnother")}
    assert {name: error["status"] for name, error in errors.items()} == {
        "stale": 412, "toAnother": 403, "ofAnother": 403,
    }  # fmt: skip
    assert {name: reason(error["message"]) for name, error in errors.items()} == {
        "stale": "precondition_failed", "toAnother": "write_out_of_reach", "ofAnother": "write_out_of_reach",
    }  # fmt: skip
    assert told == {"updated": "amended", "patched": "corrected", "batch": ["200", "403"], "afterwards": 404}


async def test_fhir_kit_client_writes(server: RunningServer, node: Node) -> None:
    told = await node.run("apps/fhir-kit-client.mjs", await launched(server))
    names = ("stale", "toAnother", "ofAnother", "refusedTransaction")
    errors = {name: told.pop(name) for name in names}
    assert {name: (error["status"], reason(error["outcome"])) for name, error in errors.items()} == {
        "stale": (412, "precondition_failed"),
        "toAnother": (403, "write_out_of_reach"),
        "ofAnother": (403, "write_out_of_reach"),
        "refusedTransaction": (403, "write_out_of_reach"),
    }
    assert errors["refusedTransaction"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert told == {
        "changed": "amended",
        "patched": "corrected",
        "transaction": ["201", "201"],
        "refersToIt": True,
        "batch": ["200", "403"],
        "afterwards": 404,
    }


async def test_fhirpy_writes(server: RunningServer, python: str) -> None:
    told = await run_script(python, "apps/python_fhirpy.py", await launched(server))
    refused = {
        "stale": ("MultipleResourcesFound", "precondition_failed"),
        "toAnother": ("ForbiddenError", "write_out_of_reach"),
        "ofAnother": ("ForbiddenError", "write_out_of_reach"),
        # It sends a merge patch, and criteria in the address of a create, neither of which is FHIR R4.
        "mergePatch": ("OperationOutcome", "patch_format_unsupported"),
        "conditionInTheAddress": ("OperationOutcome", "parameter_unknown"),
    }
    errors = {name: told.pop(name) for name in refused}
    assert {name: (error[0], reason(error[1])) for name, error in errors.items()} == refused
    assert told == {
        "changed": "amended",
        "foundAgain": [True, False],
        "batch": ["200", "403"],
        "afterwards": ["ResourceNotFound"],
    }


async def test_fhirclient_of_pypi_writes(server: RunningServer) -> None:
    settings = {"app_id": "public-app", "scope": WRITING_SCOPE, "api_base": server.base, "redirect_uri": CALLBACK}
    sent = await run_script(sys.executable, "apps/python_fhirclient.py", {"step": "launch", "settings": settings})
    person = server.person()
    page = await person.sign_in(await person.open(sent["url"]))
    page = await person.agree(await person.choose_patient(page, "pat-a"))
    returned = {"step": "write", "state": sent["state"], "url": page.left_for, **OTHERS}
    told = await run_script(sys.executable, "apps/python_fhirclient.py", returned)
    errors = {name: told.pop(name) for name in ("toAnother", "ofAnother")}
    assert {name: (error[0], reason(error[1])) for name, error in errors.items()} == {
        "toAnother": ("FHIRPermissionDeniedException", "write_out_of_reach"),
        "ofAnother": ("FHIRPermissionDeniedException", "write_out_of_reach"),
    }
    assert told == {
        "changed": "amended",
        "transaction": ["201", "201"],
        "batch": ["201", "403"],
        "afterwards": ["FHIRNotFoundException"],
    }


def uploaded(patient: str) -> Resource:
    """A Bundle as Synthea writes them: new records that refer to each other by names of the Bundle."""
    subject = {"reference": f"Patient/{patient}"}
    visit = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, "subject": subject}
    weight = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": subject,
        "encounter": {"reference": URN},
        "valueQuantity": {"value": 81.5, "unit": "kg"},
    }
    entries = [
        {"fullUrl": URN, "resource": visit, "request": {"method": "POST", "url": "Encounter"}},
        {"resource": weight, "request": {"method": "POST", "url": "Observation"}},
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


async def test_fhir_kindling_uploads_a_transaction(server: RunningServer, python: str) -> None:
    asked = {**await launched(server), "bundle": uploaded("pat-a")}
    told = await run_script(python, "apps/python_fhir_kindling.py", asked)
    assert told == {"created": ["Encounter", "Observation"], "amended": ["amended"]}


async def test_fhir_kindling_is_told_which_entry_is_refused(server: RunningServer, python: str) -> None:
    bundle = uploaded("pat-a")
    bundle["entry"][1]["resource"]["subject"] = {"reference": "Patient/pat-b"}
    told = await run_script(python, "apps/python_fhir_kindling.py", {**await launched(server), "bundle": bundle})
    assert (told["status"], reason(told["outcome"])) == (403, "write_out_of_reach")
    assert told["outcome"]["issue"][0]["expression"] == ["Bundle.entry[1]"]
