"""Builds request records for these tests, with everything in them that must not be revealed."""

from typing import Any

from gateway.fhir.reference import Reference
from gateway.fhir.request.interaction import TypeSearch
from gateway.fhir.search.query import Query
from gateway.policy.permission.access import Access
from gateway.policy.reasons import Reason
from gateway.telemetry.request_record import RequestRecord

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


def request_record(**changes: Any) -> RequestRecord:
    given: dict[str, Any] = {
        "arrived_at": AT,
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
    return RequestRecord(**{**given, **changes})
