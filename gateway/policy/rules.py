"""What an operator decides about reach, as one value handed to every decision (enforcement.md 2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class MembershipMode(StrEnum):
    """Which parameters make a resource a member of a compartment.

    FULL is the R4 CompartmentDefinition; SUBJECT keeps only those that say whom the record is about (edge case 108).
    """

    FULL = "full"
    SUBJECT = "subject"


class PractitionerReach(StrEnum):
    """What a Practitioner or PractitionerRole may see under `user/` scopes.

    ALL is the whole server, COMPARTMENT the records they take part in, PANEL the patients found by a configured search.
    """

    ALL = "all"
    COMPARTMENT = "compartment"
    PANEL = "panel"


# Types outside the patient compartment that a chart refers to (checklist edge case 110).
SHARED_TYPES = frozenset(
    {
        "Endpoint",
        "HealthcareService",
        "Location",
        "Medication",
        "MedicationKnowledge",
        "Organization",
        "OrganizationAffiliation",
        "Practitioner",
        "PractitionerRole",
        "Questionnaire",
        "Substance",
        "ValueSet",
        "CodeSystem",
        "StructureDefinition",
    }
)

# What R4's CompartmentDefinition leaves out though the record is about one patient: type to search parameters.
EXTRA_MEMBERSHIP: Mapping[str, tuple[str, ...]] = MappingProxyType({"Device": ("patient",), "Task": ("patient",)})
_NO_EXTRA: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's choices, and the two base URLs (no trailing slash) under which our resources are known.

    `compartment_search` says that the upstream answers `Patient/A/Observation`; `unsupported_parameters` names, per
    type, the search parameters that its CapabilityStatement leaves out, found at start-up (enforcement.md 8). Until
    that was read (`statement_known`), nothing tells by what the upstream narrows, so that no count is believed.
    """

    public_base: str
    upstream_base: str
    membership: MembershipMode = MembershipMode.FULL
    extra_membership: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: EXTRA_MEMBERSHIP)
    shared_types: frozenset[str] = SHARED_TYPES
    searchable_shared_types: frozenset[str] = frozenset()
    practitioner_reach: PractitionerReach = PractitionerReach.ALL
    compartment_search: bool = False
    unsupported_parameters: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    statement_known: bool = True

    def extra_members_of(self, compartment_type: str) -> Mapping[str, tuple[str, ...]]:
        """What the operator adds to R4's definition of a compartment: only the patient's can be added to."""
        return self.extra_membership if compartment_type == "Patient" else _NO_EXTRA

    @property
    def bases(self) -> tuple[str, str]:
        """Both bases, for reading absolute references."""
        return (self.public_base, self.upstream_base)
