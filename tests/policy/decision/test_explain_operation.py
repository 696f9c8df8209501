"""The explanation of decisions on operations: the letters, what is sent, what is verified, and what would help."""

import json

import pytest

from gateway.fhir.request.parse_request import parse_request
from gateway.policy.decision.explain_decision import explain
from gateway.policy.decision.explanation import Explanation
from tests.policy.decision.operation_decisions import operation_grant

OF_A = {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/A"}}
IN_VISIT = json.dumps({**OF_A, "encounter": {"reference": "Encounter/e"}})

LINES = {
    "what it is": ("GET /Patient/A/$everything", "patient/*.rs", "Request       operation Patient A $everything"),
    "a letter that it needs": (
        "GET /Patient/A/$everything",
        "patient/Patient.rs",
        "Unit (s)      patient/Patient.rs: Patient in the compartment of Patient/A",
    ),
    "what is sent": (
        "GET /Patient/A/$everything?_count=3",
        "patient/Patient.rs",
        "Sent          GET http://upstream.example/fhir/Patient/A/$everything?_count=3&_type=Patient",
    ),
    "that the record comes first": (
        "GET /Patient/A/$everything",
        "patient/*.rs",
        "First         the current version of Patient/A must be readable",
    ),
    "what is left out": (
        "GET /Patient/A/$everything?_type=Patient,Goal",
        "patient/Patient.rs",
        "Left out      _type=Goal",
    ),
    "how entries are judged": (
        "GET /Patient/A/$everything",
        "patient/*.rs",
        "Verified      each resource by itself, also in Parameters, by scopes with r and s",
    ),
    "how entries of one type are judged": (
        "GET /DocumentReference/$docref?patient=A",
        "patient/*.rs",
        "Verified      each resource by itself, also in Parameters, of type DocumentReference, by scopes with r and s",
    ),
    "how a document is judged": (
        "GET /Composition/c/$document",
        "patient/*.rs",
        "Verified      the whole answer: it is shown only if everything in it may be",
    ),
    "how meta is made": (
        "GET /Patient/A/$meta",
        "patient/Patient.r",
        "Verified      as a read, of which the meta is shown; looks at contained, id, resourceType",
    ),
    "how a terminology is judged": (
        "GET /ValueSet/$expand?url=x",
        "patient/ValueSet.r",
        "Verified      only ValueSet or Parameters, with no resource of a patient in it",
    ),
    "how a validation is judged": (
        "POST /Observation/$validate",
        "patient/Observation.c",
        "Verified      only severities, codes, and places in the resource that was sent; before that, every "
        "reference of the resource that is sent must lead into reach",
    ),
    "that a validation is sent by POST": (
        "POST /Observation/$validate",
        "patient/Observation.c",
        "Sent          POST http://upstream.example/fhir/Observation/$validate",
    ),
    "the scope that helps": (
        "GET /Patient/A/$everything",
        "patient/Patient.r",
        "Would help    the scope patient/Patient.rs",
    ),
    "the letter that helps": (
        "POST /Observation/$validate",
        "patient/Observation.rs",
        "Would help    the scope patient/Observation.c",
    ),
    "the setting that switches it on": (
        "GET /Observation/$lastn",
        "patient/Observation.rs",
        "Would help    the setting operations: Observation/$lastn: {enabled: true}",
    ),
    "the type that may be shared": (
        "GET /ConceptMap/$translate?code=x",
        "patient/ConceptMap.r",
        "Would help    the setting compartments.shared_types with ConceptMap",
    ),
    "what helps where nothing that was tried does": (
        "GET /Patient/A/$graphql",
        "patient/*.rs",
        "Would help    reads and searches instead; the setting operations adds what the manifest lacks",
    ),
}


def explain_operation(request: str, scopes: str) -> Explanation:
    method, _, target = request.partition(" ")
    path, _, query = target.partition("?")
    body = IN_VISIT.encode() if method == "POST" else b""
    headers = {b"content-type": b"application/fhir+json"}
    interaction = parse_request(method, path.encode(), query.encode(), headers, body)
    return explain(interaction, operation_grant(scopes))


@pytest.mark.parametrize(("request_", "scopes", "line"), LINES.values(), ids=LINES)
def test_an_explanation_says(request_: str, scopes: str, line: str) -> None:
    assert line in [str(one) for one in explain_operation(request_, scopes).all_lines()]
