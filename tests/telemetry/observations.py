"""An observation for these tests, with everything in it that could tell too much."""

from typing import Any

from gateway.fhir.interaction import TypeSearch
from gateway.fhir.query import Query
from gateway.fhir.reference import Reference
from gateway.policy.access import Access
from gateway.policy.reasons import Reason
from gateway.telemetry.observation import Observation

AT = 1_767_225_600.25  # 2026-01-01T00:00:00.250Z


def access(**changes: Any) -> Access:
    given: dict[str, Any] = {
        "client_id": "growth-chart",
        "issuer": "https://login.example.org",
        "subject": "sub-1",
        "user": Reference("Practitioner", "17"),
        "patient": "A",
        "scopes": (),
        "expires_at": AT,
    }
    return Access(**{**given, **changes})


def observation(**changes: Any) -> Observation:
    given: dict[str, Any] = {
        "at": AT,
        "decision_id": "5f0c-1",
        "request_id": "req-1",
        "method": "GET",
        "reason": Reason.PERMITTED,
        "status": 200,
        "duration_seconds": 0.004,
        "interaction": TypeSearch("Observation", Query()),
        "upstream_seconds": 0.003,
        "access": access(),
        "remote_address": "192.0.2.7",
        "token_cached": True,
        "kept": 3,
        "dropped": {"Condition": 2},
        "narrowing_misses": {"Condition": 1},
        "response_bytes": 1000,
    }
    return Observation(**{**given, **changes})
