"""People's words for resource types, categories and code systems, which every sentence about a scope uses."""

from gateway.languages.language import Language, gettext_noop

# The resource types of US Core (clients-and-suites.md 4.6). A user can choose between them.
TYPE_LABELS = {
    "Patient": gettext_noop("Name, address and other personal details"),
    "AllergyIntolerance": gettext_noop("Allergies and intolerances"),
    "CarePlan": gettext_noop("Care plans"),
    "CareTeam": gettext_noop("Care team"),
    "Condition": gettext_noop("Problems and diagnoses"),
    "Coverage": gettext_noop("Insurance"),
    "Device": gettext_noop("Implants and devices"),
    "DiagnosticReport": gettext_noop("Reports of laboratories and imaging"),
    "DocumentReference": gettext_noop("Documents and notes"),
    "Encounter": gettext_noop("Visits"),
    "Goal": gettext_noop("Goals"),
    "Immunization": gettext_noop("Vaccinations"),
    "Location": gettext_noop("Places of care"),
    "Medication": gettext_noop("Medicines"),
    "MedicationDispense": gettext_noop("Medicines handed out"),
    "MedicationRequest": gettext_noop("Prescriptions"),
    "Observation": gettext_noop("Measurements and results"),
    "Organization": gettext_noop("Organisations of care"),
    "Practitioner": gettext_noop("Doctors, nurses and other staff"),
    "PractitionerRole": gettext_noop("Roles of staff"),
    "Procedure": gettext_noop("Operations and procedures"),
    "Provenance": gettext_noop("Where records come from"),
    "RelatedPerson": gettext_noop("Family and friends"),
    "ServiceRequest": gettext_noop("Orders and referrals"),
    "Specimen": gettext_noop("Samples"),
}
# Within a sentence, for these and for other types that apps request.
_TYPE_PHRASES = {
    "Account": gettext_noop("accounts for billing"),
    "AdverseEvent": gettext_noop("unwanted events of care"),
    "AllergyIntolerance": gettext_noop("allergies and intolerances"),
    "Appointment": gettext_noop("appointments"),
    "AppointmentResponse": gettext_noop("answers to appointments"),
    "AuditEvent": gettext_noop("log of who used the records"),
    "Basic": gettext_noop("records of no particular kind"),
    "Binary": gettext_noop("files"),
    "BodyStructure": gettext_noop("parts of the body"),
    "CarePlan": gettext_noop("care plans"),
    "CareTeam": gettext_noop("care team"),
    "Claim": gettext_noop("claims to insurers"),
    "ClaimResponse": gettext_noop("answers of insurers"),
    "Communication": gettext_noop("messages"),
    "CommunicationRequest": gettext_noop("requests for messages"),
    "Composition": gettext_noop("written documents"),
    "Condition": gettext_noop("problems and diagnoses"),
    "Consent": gettext_noop("consents"),
    "Coverage": gettext_noop("insurance"),
    "DetectedIssue": gettext_noop("warnings about care"),
    "Device": gettext_noop("implants and devices"),
    "DeviceRequest": gettext_noop("orders of devices"),
    "DeviceUseStatement": gettext_noop("use of devices"),
    "DiagnosticReport": gettext_noop("reports of laboratories and imaging"),
    "DocumentReference": gettext_noop("documents and notes"),
    "Encounter": gettext_noop("visits"),
    "EpisodeOfCare": gettext_noop("courses of treatment"),
    "ExplanationOfBenefit": gettext_noop("statements of insurers"),
    "FamilyMemberHistory": gettext_noop("illnesses in the family"),
    "Flag": gettext_noop("warnings in the record"),
    "Goal": gettext_noop("goals"),
    "Group": gettext_noop("groups of people"),
    "HealthcareService": gettext_noop("services of care"),
    "ImagingStudy": gettext_noop("X-rays and other images"),
    "Immunization": gettext_noop("vaccinations"),
    "List": gettext_noop("lists"),
    "Location": gettext_noop("places of care"),
    "Media": gettext_noop("photos and recordings"),
    "Medication": gettext_noop("medicines"),
    "MedicationAdministration": gettext_noop("medicines given"),
    "MedicationDispense": gettext_noop("medicines handed out"),
    "MedicationRequest": gettext_noop("prescriptions"),
    "MedicationStatement": gettext_noop("medicines taken"),
    "MolecularSequence": gettext_noop("genetic sequences"),
    "NutritionOrder": gettext_noop("diets"),
    "Observation": gettext_noop("measurements and results"),
    "Organization": gettext_noop("organisations of care"),
    "Patient": gettext_noop("name, address and other personal details"),
    "Person": gettext_noop("persons"),
    "Practitioner": gettext_noop("doctors, nurses and other staff"),
    "PractitionerRole": gettext_noop("roles of staff"),
    "Procedure": gettext_noop("operations and procedures"),
    "Provenance": gettext_noop("notes on where records come from"),
    "Questionnaire": gettext_noop("blank questionnaires"),
    "QuestionnaireResponse": gettext_noop("answers to questionnaires"),
    "RelatedPerson": gettext_noop("family and friends"),
    "RequestGroup": gettext_noop("groups of orders"),
    "RiskAssessment": gettext_noop("assessments of risks"),
    "Schedule": gettext_noop("schedules"),
    "ServiceRequest": gettext_noop("orders and referrals"),
    "Slot": gettext_noop("free appointments"),
    "Specimen": gettext_noop("samples"),
    "Task": gettext_noop("tasks"),
    "VisionPrescription": gettext_noop("prescriptions for glasses"),
}

_CONDITION = "http://terminology.hl7.org/CodeSystem/condition-category"
_OBSERVATION = "http://terminology.hl7.org/CodeSystem/observation-category"
_US_CORE_CONDITION = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"
_US_CORE = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
# The categories that US Core lets a user choose between, by resource type (clients-and-suites.md 4.7, G-e).
CATEGORY_LABELS = {
    "Condition": {
        f"{_CONDITION}|encounter-diagnosis": gettext_noop("Diagnoses of visits"),
        f"{_CONDITION}|problem-list-item": gettext_noop("The list of problems"),
        f"{_US_CORE_CONDITION}|health-concern": gettext_noop("Health concerns"),
    },
    "Observation": {
        f"{_US_CORE}|clinical-test": gettext_noop("Clinical tests"),
        f"{_OBSERVATION}|laboratory": gettext_noop("Laboratory results"),
        f"{_OBSERVATION}|social-history": gettext_noop("Social history, such as smoking"),
        f"{_US_CORE}|sdoh": gettext_noop("Living conditions"),
        f"{_OBSERVATION}|survey": gettext_noop("Questionnaires"),
        f"{_OBSERVATION}|vital-signs": gettext_noop("Vital signs"),
    },
}
_CATEGORY_PHRASES = {
    "encounter-diagnosis": gettext_noop("diagnoses of visits"),
    "problem-list-item": gettext_noop("list of problems"),
    "health-concern": gettext_noop("health concerns"),
    "clinical-test": gettext_noop("clinical tests"),
    "laboratory": gettext_noop("laboratory results"),
    "social-history": gettext_noop("social history such as smoking"),
    "sdoh": gettext_noop("living conditions"),
    "survey": gettext_noop("answers to questionnaires"),
    "vital-signs": gettext_noop("vital signs"),
}
# A name stands for exactly one URI: another system cannot borrow it.
_SYSTEM_NAMES = {
    "http://fdasis.nlm.nih.gov": "UNII",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "http://hl7.org/fhir/sid/icd-10": "ICD-10",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD-10-CM",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD-9-CM",
    "http://hl7.org/fhir/sid/ndc": "NDC",
    "http://loinc.org": "LOINC",
    "http://nucc.org/provider-taxonomy": "NUCC",
    "http://snomed.info/sct": "SNOMED CT",
    "http://unitsofmeasure.org": "UCUM",
    "http://www.ama-assn.org/go/cpt": "CPT",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://www.whocc.no/atc": "ATC",
}
_FHIR_SYSTEMS = ("http://terminology.hl7.org/CodeSystem/", "http://hl7.org/fhir/")


def phrase_for_type(resource_type: str, language: Language) -> str:
    """The plural of the type's records within a sentence, to stand after "your" too."""
    phrase = _TYPE_PHRASES.get(resource_type)
    return language.gettext("%(type)s records", type=resource_type) if phrase is None else language.gettext(phrase)


def phrase_for_category(resource_type: str, token: str, language: Language) -> str | None:
    """The records of a category within a sentence; None if it has no known words. A code may come without system."""
    for category in CATEGORY_LABELS.get(resource_type, ()):
        code = category.partition("|")[2]
        if token in {category, code}:
            return language.gettext(_CATEGORY_PHRASES[code])
    return None


def short_system_name(system: str) -> str:
    """The name by which people know a code system, or the shortest text that still says whose it is."""
    if system in _SYSTEM_NAMES:
        return _SYSTEM_NAMES[system]
    if system.startswith(_FHIR_SYSTEMS):
        return system.rsplit("/", 1)[1] or system
    scheme, _, rest = system.partition("://")
    host = rest.partition("/")[0].lower()
    return host if scheme in {"http", "https"} and "." in host else system
