"""The table of searches and their results, the same for every server."""

from dataclasses import dataclass, replace

from tests.real_servers.gateway_requests import A_APP, TokenGrant
from tests.real_servers.servers_under_test import Feature
from tests.real_servers.stored_resources import (
    Condition,
    about,
    by_practitioner,
    categorised,
    coded,
    either,
    named,
    nothing,
    of_type,
)
from tests.servers.people import CONFIDENTIALITY, OBSERVATION_CATEGORY, SHARED_MARKER

A_ALONE = replace(A_APP, reach="subject", marks=(*A_APP.marks, SHARED_MARKER))
OBSERVATIONS_ALONE = TokenGrant("patient/Observation.rs")
LABS = TokenGrant(f"patient/Observation.rs?category={OBSERVATION_CATEGORY}|laboratory patient/Patient.rs")

A_OBSERVATIONS = of_type("Observation", about("pat-a"))
A_LABS = of_type("Observation", about("pat-a"), categorised(f"{OBSERVATION_CATEGORY}|laboratory"))
A_HIMSELF = of_type("Patient", about("pat-a"))
SMOKING = named("Observation/pat-a-smoking")
IN_THE_ENCOUNTER = of_type(
    "Observation", lambda resource: resource.get("encounter", {}).get("reference") == "Encounter/pat-a-encounter-1"
)
BY_THE_DOCTOR = of_type("Observation", about("pat-a"), by_practitioner("practitioner-1"))
NOT_THAT_CODE = of_type("Observation", about("pat-a"), lambda resource: not coded("4548-4")(resource))
HEIGHT = of_type("Observation", about("pat-a"), coded("8302-2"))
BOTH_PROVENANCES = named("Provenance/pat-a-provenance", "Provenance/provenance-of-two")
# Some of them are ids of B's records.
MANY_IDS = ",".join(f"pat-b-observation-{number}" for number in range(1, 400))
MRN = "urn:smart-fhir-gateway:identifier|mrn-"


INCLUDE, CHAIN, HAS = (Feature.INCLUDE,), (Feature.CHAIN,), (Feature.HAS,)
SYSTEM = (Feature.SYSTEM_SEARCH,)
BARE, PAGES = (Feature.BARE_ID,), (Feature.PAGES,)


@dataclass(frozen=True)
class Search:
    """A search, and the matches and includes that it finds. `needs` are features that a server may lack."""

    sentence: str
    path: str
    matches: Condition
    includes: Condition = nothing
    grant: TokenGrant = A_APP
    needs: tuple[Feature, ...] = ()
    form: str | None = None
    left_out: bool = False


def _whole_chart(resource_type: str) -> Search:
    matches = of_type(resource_type, about("pat-a"))
    return Search(f"every {resource_type} of the patient", f"/{resource_type}", matches)


CHART = (
    *("Patient", "Observation", "Condition", "Encounter", "MedicationRequest", "DiagnosticReport", "DocumentReference"),
    *("Immunization", "Coverage", "RelatedPerson", "Task", "Device", "CareTeam", "Appointment", "List", "Group"),
)

SEARCHES = (
    *map(_whole_chart, CHART),
    Search("under subject, what takes part is out", "/Observation", A_OBSERVATIONS, grant=A_ALONE),
    Search("the patient's own name for it", "/Observation?patient=pat-a", A_OBSERVATIONS, needs=BARE),
    Search("the same as a reference", "/Observation?patient=Patient/pat-a", A_OBSERVATIONS),
    Search("by subject", "/Observation?subject=Patient/pat-a", A_OBSERVATIONS),
    Search("by subject and its type", "/Observation?subject:Patient=pat-a", A_OBSERVATIONS, needs=BARE),
    Search("another patient", "/Observation?patient=pat-b", nothing),
    Search("another patient as subject", "/Observation?subject=Patient/pat-b", nothing),
    Search("another patient as a typed subject", "/Observation?subject:Patient=pat-b", nothing),
    Search("both patients, one or the other", "/Observation?patient=pat-a,pat-b", A_OBSERVATIONS, needs=BARE),
    Search("both patients at once", "/Observation?patient=pat-a&patient=pat-b", nothing),
    Search("a group of patients", "/Observation?subject=Group/group-1", nothing),
    Search("anybody but the other", "/Observation?status:not=amended", A_OBSERVATIONS),
    Search("of no subject", "/Observation?subject:missing=true", nothing),
    Search("of anything but a code", "/Observation?code:not=4548-4", NOT_THAT_CODE),
    Search("by code", "/Observation?code=4548-4", of_type("Observation", about("pat-a"), coded("4548-4"))),
    Search("by code, of both", "/Observation?code=4548-4&patient=pat-b", nothing),
    Search("by category", f"/Observation?category={OBSERVATION_CATEGORY}|laboratory", A_LABS),
    Search("by id", "/Observation?_id=pat-a-smoking", SMOKING),
    Search("another's by id", "/Observation?_id=pat-b-smoking", nothing),
    Search("two by id", "/Observation?_id=pat-a-smoking,pat-b-smoking", SMOKING),
    Search("sorted", "/Observation?_sort=-date", A_OBSERVATIONS),
    Search("in small pages", "/Observation?_count=3", A_OBSERVATIONS, needs=PAGES),
    Search("the other patient", "/Patient?_id=pat-b", nothing),
    Search("the other patient by identifier", f"/Patient?identifier={MRN}pat-b", nothing),
    Search("the patient by identifier", f"/Patient?identifier={MRN}pat-a", A_HIMSELF),
    Search("everybody by gender", "/Patient?gender=male,female", A_HIMSELF),
    Search("an unrelated device", "/Device?_id=device-without-patient", nothing),
    Search("a shared type by id", "/Practitioner?_id=practitioner-1", named("Practitioner/practitioner-1")),
    Search("by a security label", f"/Observation?_security={CONFIDENTIALITY}|R", named("Observation/pat-a-restricted")),
    Search("more than fits into a request line", f"/Observation?_id=pat-a-smoking,{MANY_IDS}", SMOKING),
    Search("several types", "/?_type=Observation,Patient", either(A_OBSERVATIONS, A_HIMSELF), needs=SYSTEM),
    Search("several types by a form", "/_search", A_HIMSELF, needs=SYSTEM, form="_type=Patient"),
    # elements and summaries do not remove entries
    Search("a few elements", "/Observation?_elements=status", A_OBSERVATIONS),
    Search("narrative alone", "/Observation?_summary=text", A_OBSERVATIONS),
    Search("without narrative", "/Observation?_summary=data", A_OBSERVATIONS),
    Search("a few elements under a constraint", "/Observation?_elements=status", A_LABS, grant=LABS),
    # compartments
    Search("the compartment", "/Patient/pat-a/Observation", A_OBSERVATIONS),
    Search("the compartment, with criteria", "/Patient/pat-a/Observation?code=8302-2", HEIGHT),
    Search("the patient in the compartment", "/Patient/pat-a/Patient", A_HIMSELF),
    Search("another compartment", "/Patient/pat-b/Observation", nothing),
    Search("another patient in the compartment", "/Patient/pat-b/Patient", nothing),
    Search("an encounter's compartment", "/Encounter/pat-a-encounter-1/Observation", IN_THE_ENCOUNTER),
    Search("another's encounter", "/Encounter/pat-b-encounter-1/Observation", nothing),
    Search("a practitioner's compartment", "/Practitioner/practitioner-1/Observation", BY_THE_DOCTOR),
    # forms
    Search("a form", "/Observation/_search", A_LABS, form=f"category={OBSERVATION_CATEGORY}|laboratory"),
    Search("an empty form", "/Observation/_search", A_OBSERVATIONS, form=""),
    Search("a form against the query", "/Observation/_search?patient=pat-a", nothing, form="patient=pat-b"),
    Search("a form in a compartment", "/Patient/pat-a/Observation/_search", HEIGHT, form="code=8302-2"),
    # includes
    Search(
        "its subject", "/Observation?_id=pat-a-smoking&_include=Observation:subject", SMOKING, A_HIMSELF, needs=INCLUDE
    ),
    Search(
        "its performer, a shared type",
        "/Observation?_id=pat-a-smoking&_include=Observation:performer",
        SMOKING,
        named("Practitioner/practitioner-1"),
        needs=INCLUDE,
    ),
    Search(
        "those in an appointment of two",
        "/Appointment?_id=appointment-of-two&_include=Appointment:actor",
        named("Appointment/appointment-of-two"),
        A_HIMSELF,
        needs=INCLUDE,
    ),
    Search(
        "all that points at the patient",
        "/Patient?_revinclude=Observation:subject",
        A_HIMSELF,
        A_OBSERVATIONS,
        needs=INCLUDE,
    ),
    Search(
        "another's record in which the patient takes part",
        "/Patient?_revinclude=Observation:performer",
        A_HIMSELF,
        named("Observation/pat-b-by-pat-a"),
        needs=INCLUDE,
    ),
    Search(
        "the same under subject", "/Patient?_revinclude=Observation:performer", A_HIMSELF, grant=A_ALONE, needs=INCLUDE
    ),
    Search(
        "a provenance, by its target",
        "/Observation?_id=pat-a-smoking&_revinclude=Provenance:target",
        SMOKING,
        BOTH_PROVENANCES,
        needs=INCLUDE,
    ),
    Search(
        "an include that no scope names",
        "/Observation?_id=pat-a-smoking&_include=Observation:subject",
        SMOKING,
        grant=OBSERVATIONS_ALONE,
        left_out=True,
    ),
    Search(
        "an include against a constraint",
        "/Patient?_revinclude=Observation:subject",
        A_HIMSELF,
        A_LABS,
        grant=LABS,
        needs=INCLUDE,
    ),
    Search("a provenance searched by its target", "/Provenance?target=Observation/pat-a-smoking", BOTH_PROVENANCES),
    Search(
        "a provenance of another's target",
        "/Provenance?target=Observation/pat-b-smoking",
        named("Provenance/provenance-of-two"),
    ),
    # chains within the reach
    Search("a chain to the patient", f"/Observation?patient.identifier={MRN}pat-a", A_OBSERVATIONS, needs=CHAIN),
    Search("a chain to the other", f"/Observation?patient.identifier={MRN}pat-b", nothing, needs=CHAIN),
    Search("a typed chain", f"/Observation?subject:Patient.identifier={MRN}pat-a", A_OBSERVATIONS, needs=CHAIN),
    Search("a reverse chain", "/Patient?_has:Observation:patient:code=4548-4", A_HIMSELF, needs=HAS),
    Search(
        "a reverse chain that only the other has",
        "/Patient?_has:Observation:patient:_id=pat-b-smoking",
        nothing,
        needs=HAS,
    ),
)
