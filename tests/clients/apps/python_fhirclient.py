"""fhirclient of PyPI as a web app uses it: once to send the browser off, once when it comes back; told and tells JSON.

It runs under any release of the library, each in an environment of its own, and so imports nothing of this project.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from fhirclient import client as smart  # type: ignore[import-untyped]
from fhirclient.models.bundle import Bundle  # type: ignore[import-untyped]
from fhirclient.models.observation import Observation  # type: ignore[import-untyped]


def launch(asked: dict[str, Any]) -> dict[str, Any]:
    """Where to send the browser, and what to remember."""
    app = smart.FHIRClient(settings=asked["settings"])
    app.prepare()
    return {"url": app.authorize_url, "ready": app.ready, "state": app.state}


def callback(asked: dict[str, Any]) -> dict[str, Any]:
    """What the records hold, before and after a refresh."""
    app = smart.FHIRClient(state=asked["state"])
    app.handle_callback(asked["url"])
    patient = app.patient.id
    found = [one.id for one in Observation.where({"_count": "5"}).perform_resources_iter(app.server)]
    told = {"patient": patient, "found": found, "scope": app.launch_context["scope"]}
    if asked["refresh"]:
        # The library refreshes when the patient is read and the answer is 401.
        app.server.auth.access_token = "ended"
        app._patient = None
        told["again"] = app.patient.id
        told["renewed"] = app.server.auth.access_token != "ended"
    return told


def write(asked: dict[str, Any]) -> dict[str, Any]:
    """Write what belongs to the patient and what does not."""
    app = smart.FHIRClient(state=asked["state"])
    app.handle_callback(asked["url"])
    server, other = app.server, asked["other"]
    made = Observation(observation(app.patient.id)).create(server)
    stored = Observation.read(made["id"], server)
    stored.status = "amended"
    told = {
        "changed": stored.update()["status"],
        "toAnother": failure(lambda: Observation(observation(other)).create(server)),
        "ofAnother": failure(lambda: Observation(observation(other, id=asked["foreign"])).update(server)),
    }
    post = {"method": "POST", "url": "Observation"}
    for name, patients in {"transaction": [app.patient.id] * 2, "batch": [app.patient.id, other]}.items():
        entries = [{"request": post, "resource": observation(patient)} for patient in patients]
        bundle = Bundle({"resourceType": "Bundle", "type": name, "entry": entries})
        answers = [one["response"] for one in bundle.create(server)["entry"]]
        told[name] = [answer["status"][:3] for answer in answers]
        for location in (answer["location"] for answer in answers if "location" in answer):
            server.delete_json("/".join(location.split("/_history/")[0].split("/")[-2:]))
    stored.delete()
    return {**told, "afterwards": failure(lambda: Observation.read(made["id"], server))[:1]}


def observation(patient: str, **elements: Any) -> dict[str, Any]:
    """An Observation about a patient."""
    subject = {"reference": f"Patient/{patient}"}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": subject,
        **elements,
    }


def failure(action: Callable[[], Any]) -> list[str]:
    """The name of what is raised, and what the server answered."""
    try:
        action()
    except Exception as error:
        response = getattr(error, "response", None)
        return [type(error).__name__, "" if response is None else response.text]
    return []


if __name__ == "__main__":
    todo = json.loads(sys.stdin.read())
    print(json.dumps({"launch": launch, "callback": callback, "write": write}[todo["step"]](todo)))  # noqa: T201
