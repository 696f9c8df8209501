"""The responses of the endpoint of app state: one state, a Bundle of them, and the CapabilityStatement."""

from collections.abc import Sequence
from urllib.parse import urlencode

import orjson

from gateway.asgi.response import FHIR_HEADERS, FhirResponse
from gateway.asgi.types import Header
from gateway.fhir.app_state.state_codes import StateAddress
from gateway.fhir.app_state.state_resource import PROFILE
from gateway.policy.reasons import Reason
from gateway.storage.app_states import StoredAppState

# The day on which the endpoint began to be as the statement says.
_STATEMENT_DATE = "2026-11-30"
_INSTANTIATES = "http://hl7.org/fhir/smart-app-launch/CapabilityStatement/smart-app-state-server"
_SEPARATORS = str.maketrans({character: f"\\{character}" for character in "\\,|$"})


def state_response(status: int, base: str, state: StoredAppState, *, with_body: bool) -> FhirResponse:
    """The response to a create or an update. `base` is the base of app state."""
    headers: list[Header] = [*FHIR_HEADERS, (b"etag", f'W/"{state.version}"'.encode())]
    location = f"{base}/Basic/{state.state_id}".encode()
    headers.append((b"location" if status == 201 else b"content-location", location))
    return FhirResponse(status, Reason.PERMITTED, bytes(state.content) if with_body else b"", headers, kept=1)


def search_response(base: str, address: StateAddress, subject: str, states: Sequence[StoredAppState]) -> FhirResponse:
    """The Bundle of what was found. `subject` is the reference that was asked for, or empty."""
    code = f"{address.system.translate(_SEPARATORS)}|{address.code.translate(_SEPARATORS)}"
    about = ("subject", subject) if subject else ("subject:missing", "true")
    bundle = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(states),
        "link": [{"relation": "self", "url": f"{base}/Basic?{urlencode((('code', code), about))}"}],
    }
    if states:
        bundle["entry"] = [
            {
                "fullUrl": f"{base}/Basic/{state.state_id}",
                "resource": orjson.Fragment(bytes(state.content)),
                "search": {"mode": "match"},
            }
            for state in states
        ]
    return FhirResponse(200, Reason.PERMITTED, orjson.dumps(bundle), list(FHIR_HEADERS), kept=len(states))


def statement(base: str) -> bytes:
    """The CapabilityStatement: what SMART's `smart-app-state-server` asks for, and no more."""
    interactions = ("create", "update", "delete", "search-type")
    return orjson.dumps(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": _STATEMENT_DATE,
            "kind": "instance",
            "instantiates": [_INSTANTIATES],
            "implementation": {"description": "SMART app state", "url": base},
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json", "json"],
            "rest": [
                {
                    "mode": "server",
                    "security": {"cors": True},
                    "resource": [
                        {
                            "type": "Basic",
                            "supportedProfile": [PROFILE],
                            "interaction": [{"code": code} for code in interactions],
                            "versioning": "versioned-update",
                            "updateCreate": False,
                            "searchParam": [
                                {"name": "code", "type": "token"},
                                {"name": "subject", "type": "reference"},
                            ],
                        }
                    ],
                }
            ],
        }
    )
