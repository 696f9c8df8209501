"""fhir-kindling of PyPI uploads records as one transaction, as it does with Synthea's; it is told and tells JSON.

It imports nothing of this project.
"""

import contextlib
import json
import sys
from typing import Any

import httpx  # type: ignore[import-not-found]
from fhir_kindling import FhirServer  # type: ignore[import-not-found]


def upload(asked: dict[str, Any]) -> dict[str, Any]:
    """Upload a Bundle, change what it made, and delete it again."""
    server = FhirServer(api_address=asked["base"], token=asked["token"])
    try:
        # It prints what a server answers to a Bundle that it refuses.
        with contextlib.redirect_stdout(sys.stderr):
            created = server.add_bundle(asked["bundle"]).references
    except httpx.HTTPStatusError as error:
        return {"status": error.response.status_code, "outcome": error.response.json()}
    stored = server.get_many(created)
    server.update(
        [{**json.loads(one.json()), "status": "amended"} for one in stored if one.resource_type == "Observation"]
    )
    amended = [one.status for one in server.get_many(created) if one.resource_type == "Observation"]
    server.delete(references=created)
    return {"created": [one.reference.split("/")[0] for one in created], "amended": amended}


if __name__ == "__main__":
    print(json.dumps(upload(json.loads(sys.stdin.read()))))  # noqa: T201
