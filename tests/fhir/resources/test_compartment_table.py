"""The compartments are those of R4, and each type is narrowed by the parameter that says whom a resource is about."""

import pytest

from gateway.fhir.resources.compartments import (
    COMPARTMENT_TYPES,
    compile_membership,
    find_narrowing_parameter,
    get_membership_parameters,
)
from gateway.fhir.search_parameters import COMMON_PARAMETERS, SearchType, get_search_parameters
from gateway.scopes.resource_types import RESOURCE_TYPES

EXTRA = {"Device": ("patient",), "Task": ("patient",)}
PAIRS = [
    (compartment_type, resource_type)
    for compartment_type in sorted(COMPARTMENT_TYPES)
    for resource_type in sorted(RESOURCE_TYPES)
    if get_membership_parameters(compartment_type, resource_type)
]

# What the R4 page of the patient compartment lists as outside (https://hl7.org/fhir/R4/compartmentdefinition-patient.html).
OUTSIDE = """ActivityDefinition Binary BiologicallyDerivedProduct Bundle CapabilityStatement CatalogEntry
ChargeItemDefinition CodeSystem CompartmentDefinition ConceptMap Contract Device DeviceDefinition DeviceMetric
EffectEvidenceSynthesis Endpoint EnrollmentResponse EventDefinition Evidence EvidenceVariable ExampleScenario
GraphDefinition GuidanceResponse HealthcareService ImplementationGuide InsurancePlan Library Linkage Location Measure
Medication MedicationKnowledge MedicinalProduct MedicinalProductAuthorization MedicinalProductContraindication
MedicinalProductIndication MedicinalProductIngredient MedicinalProductInteraction MedicinalProductManufactured
MedicinalProductPackaged MedicinalProductPharmaceutical MedicinalProductUndesirableEffect MessageDefinition
MessageHeader NamingSystem ObservationDefinition OperationDefinition OperationOutcome Organization
OrganizationAffiliation Parameters PaymentNotice PaymentReconciliation PlanDefinition Practitioner PractitionerRole
Questionnaire ResearchDefinition ResearchElementDefinition ResearchStudy RiskEvidenceSynthesis SearchParameter Slot
SpecimenDefinition StructureDefinition StructureMap Subscription Substance SubstanceNucleicAcid SubstancePolymer
SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification Task
TerminologyCapabilities TestReport TestScript ValueSet VerificationResult"""


def test_there_are_five_compartments() -> None:
    assert {"Patient", "Practitioner", "Encounter", "Device", "RelatedPerson"} == COMPARTMENT_TYPES


def test_the_types_outside_the_patient_compartment_are_those_that_hl7_lists() -> None:
    outside = {
        resource_type for resource_type in RESOURCE_TYPES if compile_membership("Patient", resource_type) is None
    }
    assert outside == set(OUTSIDE.split())


@pytest.mark.parametrize(
    ("compartment_type", "resource_type", "names"),
    [
        ("Patient", "Observation", {"subject", "performer"}),
        ("Patient", "AllergyIntolerance", {"patient", "recorder", "asserter"}),
        ("Patient", "Coverage", {"policy-holder", "subscriber", "beneficiary", "payor"}),
        ("Patient", "Appointment", {"actor"}),
        ("Patient", "Group", {"member"}),
        ("Patient", "Patient", set()),
        ("Patient", "Medication", set()),
        ("Practitioner", "Encounter", {"practitioner", "participant"}),
        ("Encounter", "Observation", {"encounter"}),
        ("Device", "Observation", {"subject", "device"}),
        ("RelatedPerson", "Patient", {"link"}),
        ("Organization", "Patient", set()),
    ],
)
def test_the_members_are_named_by(compartment_type: str, resource_type: str, names: set[str]) -> None:
    assert set(get_membership_parameters(compartment_type, resource_type)) == names


@pytest.mark.parametrize(("compartment_type", "resource_type"), PAIRS)
def test_every_membership_parameter_is_a_reference_parameter_of_its_type(
    compartment_type: str, resource_type: str
) -> None:
    for name in get_membership_parameters(compartment_type, resource_type):
        parameter = get_search_parameters(resource_type)[name]
        assert parameter.type is SearchType.REFERENCE
        assert not parameter.targets or compartment_type in parameter.targets


@pytest.mark.parametrize(
    ("resource_type", "name"),
    [
        ("Patient", "_id"),
        ("Observation", "patient"),
        ("Condition", "patient"),
        ("AllergyIntolerance", "patient"),
        ("Encounter", "patient"),
        ("Coverage", "patient"),
        ("MedicationRequest", "patient"),
        ("AdverseEvent", "subject"),
        ("Appointment", "patient"),
        ("AuditEvent", "patient"),
        ("EnrollmentRequest", "patient"),
        ("Group", "member"),
        ("List", "patient"),
        ("Person", "patient"),
        ("Provenance", "patient"),
        ("ResearchSubject", "patient"),
        ("Schedule", "actor"),
        ("SupplyRequest", "subject"),
        ("Device", "patient"),
        ("Task", "patient"),
        ("Medication", None),
        ("Practitioner", None),
    ],
)
def test_a_search_under_a_patient_is_narrowed_by(resource_type: str, name: str | None) -> None:
    assert find_narrowing_parameter("Patient", resource_type, EXTRA) == name


@pytest.mark.parametrize(
    ("compartment_type", "resource_type", "name"),
    [
        ("Encounter", "Observation", "encounter"),
        ("Encounter", "ChargeItem", "context"),
        ("Encounter", "Encounter", "_id"),
        ("Practitioner", "Encounter", "practitioner"),
        ("Practitioner", "Observation", "performer"),
        ("Device", "Observation", "device"),
        ("RelatedPerson", "Person", "relatedperson"),
        ("Organization", "Patient", None),
    ],
)
def test_a_search_under_another_compartment_is_narrowed_by(
    compartment_type: str, resource_type: str, name: str | None
) -> None:
    assert find_narrowing_parameter(compartment_type, resource_type) == name


@pytest.mark.parametrize(("compartment_type", "resource_type"), PAIRS)
def test_what_narrows_reaches_no_element_outside_the_membership(compartment_type: str, resource_type: str) -> None:
    name = find_narrowing_parameter(compartment_type, resource_type)
    assert name is not None
    parameter = get_search_parameters(resource_type)[name]
    assert parameter.type is SearchType.REFERENCE
    assert not parameter.targets or compartment_type in parameter.targets
    full = compile_membership(compartment_type, resource_type)
    subject = compile_membership(compartment_type, resource_type, subject_only=True)
    assert full is not None and subject is not None
    assert subject.elements <= full.elements


def test_without_extra_tasks_and_devices_are_outside() -> None:
    for resource_type in EXTRA:
        assert compile_membership("Patient", resource_type) is None
        assert find_narrowing_parameter("Patient", resource_type) is None
        assert compile_membership("Patient", resource_type, extra_parameters=EXTRA) is not None


def test_an_extra_parameter_that_the_type_lacks_adds_nothing() -> None:
    assert compile_membership("Patient", "Medication", extra_parameters={"Medication": ("patient",)}) is None
    assert COMMON_PARAMETERS.isdisjoint(get_membership_parameters("Patient", "Observation"))
