"""Which absolute references of a client become relative, and which values stay as they are."""

import pytest

from gateway.fhir.search.query import ChainLink, Query, ReverseChain, SearchCriterion, SearchKey
from gateway.policy.decision.public_references import relativize_references

BASE = "https://gateway.example/fhir"
PATIENT, SUBJECT = SearchKey((ChainLink("patient"),)), SearchKey((ChainLink("subject", "Patient"),))

REWRITTEN = {
    "one reference": (PATIENT, f"{BASE}/Patient/a", "Patient/a"),
    "one of several": (PATIENT, f"Patient/b,{BASE}/Patient/a", "Patient/b,Patient/a"),
    "a version": (PATIENT, f"{BASE}/Patient/a/_history/2", "Patient/a/_history/2"),
    "with its type as modifier": (SUBJECT, f"{BASE}/Patient/a", "Patient/a"),
}
KEPT = {
    "another base": (PATIENT, "https://other.example/fhir/Patient/a"),
    "a base that begins like ours": (PATIENT, f"{BASE}s/Patient/a"),
    "nothing behind the base": (PATIENT, f"{BASE}/"),
    "the base alone": (PATIENT, BASE),
    "a path behind the base": (PATIENT, f"{BASE}/Patient/a/x"),
    "an identifier": (SearchKey((ChainLink("patient", "identifier"),)), f"{BASE}/Patient/a"),
    "a token": (SearchKey((ChainLink("code"),)), f"{BASE}/Patient/a"),
    "the end of a chain": (SearchKey((ChainLink("encounter"), ChainLink("subject"))), f"{BASE}/Patient/a"),
    "the end of a reverse chain": (
        ReverseChain("Provenance", "target", SearchKey((ChainLink("agent"),))),
        f"{BASE}/Practitioner/a",
    ),
}


@pytest.mark.parametrize(("key", "value", "expected"), REWRITTEN.values(), ids=REWRITTEN)
def test_it_is_made_relative(key: SearchKey, value: str, expected: str) -> None:
    query = Query(criteria=(SearchCriterion(key, value),), count=5)
    assert relativize_references(query, "Observation", BASE) == Query(
        criteria=(SearchCriterion(key, expected),), count=5
    )


@pytest.mark.parametrize(("key", "value"), KEPT.values(), ids=KEPT)
def test_it_stays_as_it_is(key: SearchKey | ReverseChain, value: str) -> None:
    query = Query(criteria=(SearchCriterion(key, value),))
    assert relativize_references(query, "Observation", BASE) == query
