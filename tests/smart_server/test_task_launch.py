"""A Task that asks for the launch of an app (checklist TL)."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.smart_server.ehr_launcher import post_launch
from tests.smart_server.running_server import CALLBACK, LAUNCH_URI, LAUNCHER_SECRET, RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

TASK_URI = "https://task-app.example/launch"
_CODES = "http://hl7.org/fhir/smart-app-launch/CodeSystem/smart-codes"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tasks(fhir_server: str) -> AsyncIterator[RunningServer]:
    """A server that takes Tasks, with an app whose launch URI no other app has."""

    def change(settings: dict[str, Any]) -> None:
        smart_server = settings["smart_server"]
        smart_server["task_launch"] = True
        app = {"client_id": "task-app", "name": "Task App", "redirect_uris": [CALLBACK], "launch_uris": [TASK_URI]}
        smart_server["clients"].append(app)

    async with run_smart_server(fhir_server, change=change) as running:
        yield running


def _concept(code: str) -> dict[str, Any]:
    return {"coding": [{"system": _CODES, "code": code}]}


APPLICATION = {"type": _concept("smartonfhir-application"), "valueUrl": TASK_URI}
APP_CONTEXT = {"type": _concept("smartonfhir-appcontext"), "valueString": '{"field1":"value"}'}


def _task(**changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Task", "status": "requested", "intent": "proposal", "code": _concept("launch-app-ehr"),
        "for": {"reference": "Patient/pat-a"}, "input": [APPLICATION, APP_CONTEXT], **changes,
    }  # fmt: skip


async def _send(server: RunningServer, **body: Any) -> httpx2.Response:
    """`POST /launch`, without a client_id of its own."""
    return await server.http.post(f"{server.issuer}/launch", json=body, auth=("ehr", LAUNCHER_SECRET))


@pytest.mark.requirement("TL-1", "TL-2", "TL-3", "TL-4", "LC-21")
@pytest.mark.parametrize("base", ["", "our own base"])
async def test_the_app_of_a_task_is_launched_with_its_patient_and_context(tasks: RunningServer, base: str) -> None:
    patient = {"reference": f"{tasks.base}/Patient/pat-a" if base else "Patient/pat-a"}
    response = await _send(tasks, task=_task(**{"for": patient}), context={"intent": "review"})
    assert response.status_code == 201, response.text
    assert response.json()["launch_uri"] == TASK_URI
    app = tasks.app("task-app")
    tokens = await tasks.request_tokens(app, "launch patient/Patient.r", launch=response.json()["launch"])
    told = {name: tokens[name] for name in ("patient", "appContext", "intent")}
    assert told == {"patient": "pat-a", "appContext": '{"field1":"value"}', "intent": "review"}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no Task": ({"task": {"resourceType": "Patient"}}, "must be a Task"),
    "a text": ({"task": "Task/1"}, "must be a Task"),
    "a standalone launch": ({"task": _task(code=_concept("launch-app-standalone"))}, "TL-1"),
    "a code of another system": ({"task": _task(code={"coding": [{"code": "launch-app-ehr"}]})}, "TL-1"),
    "a Task that is done": ({"task": _task(status="completed")}, "status"),
    "no app": ({"task": _task(input=[APP_CONTEXT])}, "TL-2"),
    "two apps": ({"task": _task(input=[APPLICATION, APPLICATION])}, "TL-2"),
    "two contexts": ({"task": _task(input=[APPLICATION, APP_CONTEXT, APP_CONTEXT])}, "TL-2"),
    "an app as a text": ({"task": _task(input=[{**APPLICATION, "valueUrl": 7}])}, "TL-2"),
    "an input that is no object": ({"task": _task(input=[7])}, "TL-2"),
    "a URL that is not registered": ({"task": _task(input=[{**APPLICATION, "valueUrl": f"{TASK_URI}/"}])}, "0 apps"),
    "a URL of several apps": ({"task": _task(input=[{**APPLICATION, "valueUrl": LAUNCH_URI}])}, "apps"),
    "a URL of another app": ({"task": _task(), "client_id": "public-app"}, "launch URI"),
    "a patient elsewhere": ({"task": _task(**{"for": {"reference": "https://x.example/fhir/Patient/pat-a"}})}, "TL-4"),
    "a Group": ({"task": _task(**{"for": {"reference": "Group/1"}})}, "TL-4"),
    "an encounter elsewhere": ({"task": _task(encounter={"reference": "https://x.example/Encounter/1"})}, "TL-4"),
    "a patient that is not there": ({"task": _task(**{"for": {"reference": "Patient/nobody"}})}, "patient"),
    "another patient beside it": ({"task": _task(), "context": {"patient": "pat-b"}}, "patient is the Task's"),
    "a launch URI beside it": ({"task": _task(), "launch_uri": TASK_URI}, "launch_uri is the Task's"),
    "an endless context": ({"task": _task(input=[APPLICATION, {**APP_CONTEXT, "valueString": "x" * 5000}])}, "appCon"),
}


@pytest.mark.requirement("TL-1", "TL-2", "TL-3", "TL-4", "edge-159")
@pytest.mark.parametrize(("body", "problem"), BAD.values(), ids=BAD)
async def test_a_task_that_is_no_launch_starts_nothing(
    tasks: RunningServer, body: dict[str, Any], problem: str
) -> None:
    response = await _send(tasks, **body)
    assert response.status_code == 400
    assert problem in " ".join(response.json()["problems"])


@pytest.mark.requirement("TL-4")
async def test_a_client_id_says_which_of_several_apps_a_task_means(tasks: RunningServer) -> None:
    task = _task(input=[{**APPLICATION, "valueUrl": LAUNCH_URI}])
    response = await _send(tasks, task=task, client_id="public-app")
    assert (response.status_code, response.json()["launch_uri"]) == (201, LAUNCH_URI)


@pytest.mark.requirement("TL-4")
async def test_where_tasks_are_switched_off_none_is_taken(server: RunningServer) -> None:
    response = await post_launch(server, task=_task())
    assert response.status_code == 400
    assert "'task' is not a member" in " ".join(response.json()["problems"])
