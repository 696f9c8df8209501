"""App state for tests: a Basic under the profile of SMART."""

from typing import Any

BASE = "https://gateway.example/fhir"
SYSTEM = "https://app.example"
CODE = "preferences"


def app_state(about: str | None = f"{BASE}/Patient/A", *, state_code: str = CODE, **changes: Any) -> dict[str, Any]:
    """A resource about the subject. A member changed to None is left out."""
    members = {
        "resourceType": "Basic",
        "code": {"coding": [{"system": SYSTEM, "code": state_code}]},
        "subject": None if about is None else {"reference": about},
        "extension": [{"url": f"{SYSTEM}/v2", "valueString": '{"page":7}'}],
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}
