"""Random records, tokens and requests with two patients, two practitioners and six resource types."""

from typing import Any

from hypothesis import strategies as st

from gateway.fhir.search.query import ChainLink, Query, SearchCriterion, SearchKey
from gateway.scopes.model import Constraint, Context, Letter, ResourceScope
from tests.policy.oracle import OracleToken

PATIENTS = ("a", "b")
PRACTITIONERS = ("p", "q")
TYPES = ("Patient", "Observation", "Condition", "Encounter", "Practitioner", "Organization")

patient_references = st.sampled_from(PATIENTS).map(lambda practitioner_id: {"reference": f"Patient/{practitioner_id}"})
practitioner_references = st.sampled_from(PRACTITIONERS).map(
    lambda practitioner_id: {"reference": f"Practitioner/{practitioner_id}"}
)
concepts = st.lists(
    st.sampled_from([("http://c", "lab"), ("http://c", "vital"), ("", "lab"), ("http://d", "lab")]), max_size=2
).map(lambda pairs: {"coding": [{"system": s, "code": c} if s else {"code": c} for s, c in pairs]})


@st.composite
def resources(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """A resource with id `r<number>`, or one of the patients and practitioners with their own ids."""
    kind = draw(st.sampled_from(TYPES))
    resource: dict[str, Any] = {"resourceType": kind, "id": f"r{number}"}
    match kind:
        case "Patient":
            resource["id"] = draw(st.sampled_from(PATIENTS))
            resource["generalPractitioner"] = draw(st.lists(practitioner_references, max_size=1))
        case "Practitioner":
            resource["id"] = draw(st.sampled_from(PRACTITIONERS))
        case "Observation":
            resource |= {
                "status": draw(st.sampled_from(["final", "amended"])),
                "category": draw(st.lists(concepts, max_size=2)),
                "code": draw(concepts),
                "subject": draw(patient_references),
                "performer": draw(st.lists(st.one_of(patient_references, practitioner_references), max_size=2)),
            }
        case "Condition":
            resource |= {"category": draw(st.lists(concepts, max_size=2)), "code": draw(concepts)}
            resource |= {"subject": draw(patient_references)}
            if draw(st.booleans()):
                resource["asserter"] = draw(st.one_of(patient_references, practitioner_references))
        case "Encounter":
            resource |= {"status": draw(st.sampled_from(["planned", "finished"])), "subject": draw(patient_references)}
        case _:
            pass
    return resource


charts = st.integers(1, 12).flatmap(lambda size: st.tuples(*(resources(number) for number in range(size))))

constraints = st.builds(
    Constraint,
    st.sampled_from(["category", "code", "status", "_id"]),
    st.none(),
    st.lists(
        st.sampled_from(["lab", "http://c|lab", "|lab", "vital", "final", "planned", "a", "r1"]), min_size=1, max_size=2
    ).map(",".join),
)
scopes = st.builds(
    ResourceScope,
    st.sampled_from(Context),
    st.sampled_from(["*", *TYPES]),
    st.frozensets(st.sampled_from([Letter.READ, Letter.SEARCH]), min_size=1),
    st.lists(constraints, max_size=2).map(tuple),
)
tokens = st.builds(
    OracleToken,
    st.lists(scopes, min_size=1, max_size=4).map(tuple),
    st.sampled_from([None, *PATIENTS]),
    st.sampled_from(
        [
            None,
            *(f"Patient/{patient_id}" for patient_id in PATIENTS),
            *(f"Practitioner/{practitioner_id}" for practitioner_id in PRACTITIONERS),
        ]
    ),
    st.booleans(),
)


def id_query(ids: tuple[str, ...]) -> Query:
    """The query `_id=...`; empty without ids."""
    return Query(criteria=(SearchCriterion(SearchKey((ChainLink("_id"),)), ",".join(ids)),)) if ids else Query()


queries = st.lists(st.sampled_from([*PATIENTS, *PRACTITIONERS, "r1", "r2"]), max_size=2).map(tuple)
