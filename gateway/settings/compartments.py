"""Settings of reach: what belongs to a patient, and what a practitioner may see."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer

from gateway.fhir.compartments import membership_parameters
from gateway.fhir.search_parameters import SearchType, parameters_of
from gateway.policy.rules import EXTRA_MEMBERSHIP, SHARED_TYPES, MembershipMode, PractitionerReach
from gateway.settings.section import Conflict, Section
from gateway.settings.values import ResourceType, SecondsOrNone, Text, plain, read_only


class PanelSearch(Section):
    """One search that finds a practitioner's patients."""

    resource_type: Annotated[ResourceType, Field(description="The type to search, such as `CareTeam`.")]
    parameter: Annotated[Text, Field(description="The parameter that takes the user, such as `participant`.")]
    patient_element: Annotated[
        Text, Field(description="The element of the found resource that refers to the patient, such as `subject`.")
    ]

    def conflicts(self) -> Iterator[Conflict]:
        """A parameter that cannot take a user would find everyone's patients, or nobody's."""
        if not _is_reference(self.resource_type, self.parameter):
            yield Conflict(("parameter",), f"must be a reference parameter of {self.resource_type} in R4")


class Compartments(Section):
    """What belongs to a patient, and what a practitioner may see."""

    membership: Annotated[
        MembershipMode,
        Field(
            description="`full`: every parameter of R4's CompartmentDefinition; `subject`: whom the record is about."
        ),
    ] = MembershipMode.FULL
    extra_membership: Annotated[
        Annotated[
            Mapping[ResourceType, Annotated[tuple[Text, ...], Field(min_length=1)]],
            AfterValidator(read_only),
            PlainSerializer(plain),
        ],
        Field(description="Reference parameters that make more types part of the patient compartment."),
    ] = dict(EXTRA_MEMBERSHIP)
    shared_types: Annotated[
        frozenset[ResourceType],
        Field(description="Types outside every chart that `patient/` scopes may read by id and as includes."),
    ] = SHARED_TYPES
    searchable_shared_types: Annotated[
        frozenset[ResourceType], Field(description="Shared types that may be searched freely, not by `_id` alone.")
    ] = frozenset()
    practitioner_reach: Annotated[
        PractitionerReach,
        Field(
            description="What `user/` scopes show a practitioner: `all`, `compartment`, or the patients of a `panel`."
        ),
    ] = PractitionerReach.ALL
    panel: Annotated[
        tuple[PanelSearch, ...], Field(description="The searches that find a practitioner's patients.")
    ] = ()
    cache_seconds: Annotated[
        SecondsOrNone, Field(description="How long a user's compartments are remembered once they were looked up.")
    ] = 60.0

    def conflicts(self) -> Iterator[Conflict]:
        """A record about a patient that is shared with everyone; a reach that nothing finds."""
        for resource_type, names in self.extra_membership.items():
            for name in names:
                if not _is_reference(resource_type, name):
                    sentence = f"names {name!r}, which is no reference parameter of {resource_type} in R4"
                    yield Conflict(("extra_membership", resource_type), sentence)
        for resource_type in sorted(self.shared_types):
            if self._about_patients(resource_type):
                yield Conflict(
                    ("shared_types",), f"must not hold {resource_type}, whose records each belong to a patient"
                )
        for resource_type in sorted(self.searchable_shared_types - self.shared_types):
            yield Conflict(("searchable_shared_types",), f"holds {resource_type}, which is not in shared_types")
        if self.practitioner_reach is PractitionerReach.PANEL and not self.panel:
            yield Conflict(("panel",), "is required when practitioner_reach is panel")
        if self.practitioner_reach is not PractitionerReach.PANEL and self.panel:
            yield Conflict(("panel",), "is used only when practitioner_reach is panel")

    def _about_patients(self, resource_type: str) -> bool:
        return (
            resource_type == "Patient"
            or resource_type in self.extra_membership
            or bool(membership_parameters("Patient", resource_type))
        )


def _is_reference(resource_type: str, name: str) -> bool:
    parameter = parameters_of(resource_type).get(name)
    return parameter is not None and parameter.type is SearchType.REFERENCE
