"""Grants for tests, made from scopes, and decisions under them."""

from typing import Any

from gateway.fhir.reference import parse_reference
from gateway.fhir.request.interaction import Interaction
from gateway.fhir.request.parse_request import parse_request
from gateway.policy.decision.decide import decide
from gateway.policy.decision_types import Allow, Decision
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.reach import CompartmentSet, UserFacts
from gateway.policy.permission.rules import Rules
from gateway.scopes.parse_scopes import parse_scopes

PUBLIC = "https://gateway.example/fhir"
UPSTREAM = "http://upstream.example/fhir"


def make_grant(
    scopes: str,
    *,
    patient: str | None = "A",
    user: str | None = None,
    patients_of_user: tuple[str, ...] | None = None,
    **rules: Any,
) -> Grant:
    """The grant of a token with these scopes under these rules."""
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
    facts = UserFacts(CompartmentSet("Patient", frozenset(patients_of_user)) if patients_of_user is not None else None)
    return Grant(access, Rules(PUBLIC, UPSTREAM, **rules), facts)


def decide_request(request: str, grant: Grant) -> Decision:
    """The decision on a request, written as `GET /Path?query`."""
    return decide(parse_interaction(request), grant)


def parse_interaction(request: str) -> Interaction:
    """The interaction of a request, written as `GET /Path?query`."""
    method, _, target = request.partition(" ")
    path, _, query = target.partition("?")
    return parse_request(method, path.encode(), query.encode(), {}, b"")


def upstream_url(request: str, grant: Grant) -> str:
    """The path and query of the upstream request. Fails if the request is refused."""
    decision = decide_request(request, grant)
    assert isinstance(decision, Allow), decision
    return f"{decision.upstream_request.path}?{decision.upstream_request.query}".rstrip("?")
