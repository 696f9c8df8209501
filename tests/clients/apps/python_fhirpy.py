"""fhirpy of PyPI writes with a token that it is told; it tells JSON. It imports nothing of this project."""

import json
import sys
from collections.abc import Callable
from typing import Any

from fhirpy import SyncFHIRClient  # type: ignore[import-not-found]

SYSTEM = "urn:fhirpy"


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
    """The name and the text of what is raised."""
    try:
        action()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return []


def entry(method: str, url: str, resource: Any = None) -> dict[str, Any]:
    """An entry of a Bundle."""
    return {"request": {"method": method, "url": url}, **({} if resource is None else {"resource": resource})}


def write(asked: dict[str, Any]) -> dict[str, Any]:
    """Write what belongs to the patient and what does not."""
    options = {"authorization": f"Bearer {asked['token']}"}
    client = SyncFHIRClient(asked["base"], **options)
    own, other = asked["patient"], asked["other"]
    identifier = [{"system": SYSTEM, "value": "1"}]
    made = client.resource("Observation", **observation(own, identifier=identifier))
    made.save()
    first = made["meta"]["versionId"]
    with_match = SyncFHIRClient(asked["base"], extra_headers={"If-Match": f'W/"{first}"'}, **options)
    changed = with_match.resource("Observation", **{**made.serialize(), "status": "amended"})
    changed.save()
    by_condition = client.resources("Observation").search(identifier=f"{SYSTEM}|1")
    found, is_new = by_condition.update(client.resource("Observation", **observation(own, identifier=identifier)))
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [entry("GET", f"Observation/{made.id}"), entry("POST", "Observation", observation(other))],
    }
    told = {
        "changed": changed["status"],
        "stale": failure(lambda: with_match.resource("Observation", **made.serialize()).save()),
        "foundAgain": [found["id"] == made.id, is_new],
        "conditionInTheAddress": failure(
            lambda: by_condition.get_or_create(client.resource("Observation", **observation(own)))
        ),
        "mergePatch": failure(lambda: made.patch(status="corrected")),
        "toAnother": failure(lambda: client.resource("Observation", **observation(other)).save()),
        "ofAnother": failure(lambda: client.resource("Observation", **observation(other, id=asked["foreign"])).save()),
        "batch": [one["response"]["status"][:3] for one in client.execute("/", method="post", data=bundle)["entry"]],
    }
    made.delete()
    return {**told, "afterwards": failure(lambda: client.reference("Observation", made.id).to_resource())[:1]}


if __name__ == "__main__":
    print(json.dumps(write(json.loads(sys.stdin.read()))))  # noqa: T201
