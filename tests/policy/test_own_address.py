"""What becomes of a client's absolute reference under our base, and what is left as it was written."""

import pytest

from gateway.fhir.query import Filter, Has, Hop, Key, Query
from gateway.policy.own_address import with_relative_references

BASE = "https://gateway.example/fhir"
PATIENT, SUBJECT = Key((Hop("patient"),)), Key((Hop("subject", "Patient"),))

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
    "an identifier": (Key((Hop("patient", "identifier"),)), f"{BASE}/Patient/a"),
    "a token": (Key((Hop("code"),)), f"{BASE}/Patient/a"),
    "the end of a chain": (Key((Hop("encounter"), Hop("subject"))), f"{BASE}/Patient/a"),
    "the end of a reverse chain": (Has("Provenance", "target", Key((Hop("agent"),))), f"{BASE}/Practitioner/a"),
}


@pytest.mark.parametrize(("key", "value", "expected"), REWRITTEN.values(), ids=REWRITTEN)
def test_it_is_made_relative(key: Key, value: str, expected: str) -> None:
    query = Query(filters=(Filter(key, value),), count=5)
    assert with_relative_references(query, "Observation", BASE) == Query(filters=(Filter(key, expected),), count=5)


@pytest.mark.parametrize(("key", "value"), KEPT.values(), ids=KEPT)
def test_it_stays_as_it_is(key: Key | Has, value: str) -> None:
    query = Query(filters=(Filter(key, value),))
    assert with_relative_references(query, "Observation", BASE) == query
