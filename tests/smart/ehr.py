"""An EHR that starts an app: the neutral launch API of a running house."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.smart.house import LAUNCHER_SECRET, House

ODD_CONTEXT: dict[str, Any] = {
    "patient": "pat-a",
    "need_patient_banner": False,
    "intent": "reconcile-medications",
    "tenant": "clinic-7",
    "smart_style_url": "https://ehr.example/style/7.json",
    "fhirContext": [
        {"reference": "DiagnosticReport/123"},
        {
            "canonical": "https://ehr.example/Questionnaire/4|1",
            "type": "Questionnaire",
            "role": "https://ehr.example/r",
        },
        {"identifier": {"system": "urn:x", "value": "7"}, "type": "ImagingStudy"},
    ],
    "__own": {"a": [1, False, None]},
}
"""Every parameter that there is but the encounter, with values that careless code drops."""


async def launch(house: House, client_id: str, context: dict[str, Any]) -> str:
    """The handle of a launch of that app, with that context, for whoever signs in."""
    response = await house.http.post(
        f"{house.issuer}/launch",
        json={"client_id": client_id, "context": context},
        auth=httpx2.BasicAuth("ehr", LAUNCHER_SECRET),
    )
    assert response.status_code == 201, response.text
    location: str = response.json()["location"]
    return parse_qs(urlsplit(location).query)["launch"][0]
