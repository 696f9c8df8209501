"""fhirclient of PyPI as a web app uses it: once to send the browser off, once when it comes back; told and tells JSON.

It runs under any release of the library, each in an environment of its own, and so imports nothing of this project.
"""

import json
import sys
from typing import Any

from fhirclient import client as smart  # type: ignore[import-untyped]
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


if __name__ == "__main__":
    todo = json.loads(sys.stdin.read())
    print(json.dumps({"launch": launch, "callback": callback}[todo["step"]](todo)))  # noqa: T201
