"""Grants for tests, written as scopes."""

from typing import Any

from gateway.fhir.reference import parse_reference
from gateway.fhir.request import parse_request
from gateway.policy.access import Access
from gateway.policy.decide import decide
from gateway.policy.decision import Allow, Decision
from gateway.policy.grant import Grant
from gateway.policy.reach import Compartments, Facts
from gateway.policy.rules import Rules
from gateway.scopes.parse import parse_scopes

PUBLIC = "https://gateway.example/fhir"
UPSTREAM = "http://upstream.example/fhir"


def grant(
    scopes: str,
    *,
    patient: str | None = "A",
    user: str | None = None,
    patients_of_user: tuple[str, ...] | None = None,
    **rules: Any,
) -> Grant:
    """What a token with these scopes permits under these rules."""
    access = Access(
        issuer="https://issuer.example",
        client_id="app",
        subject="someone",
        scopes=parse_scopes(scopes).scopes,
        expires_at=0.0,
        patient=patient,
        user=parse_reference(user) if user is not None else None,
        scope_text=scopes,
    )
    facts = Facts(Compartments("Patient", frozenset(patients_of_user)) if patients_of_user is not None else None)
    return Grant(access, Rules(PUBLIC, UPSTREAM, **rules), facts)


def asked(request: str, held: Grant) -> Decision:
    """The decision on `GET /Path?query`, or on another method named first."""
    method, _, target = request.partition(" ")
    path, _, query = target.partition("?")
    return decide(parse_request(method, path.encode(), query.encode(), {}, b""), held)


def sent(request: str, held: Grant) -> str:
    """The path and query that are sent upstream; fails where the request is refused."""
    decision = asked(request, held)
    assert isinstance(decision, Allow), decision
    return f"{decision.send.path}?{decision.send.query}".rstrip("?")
