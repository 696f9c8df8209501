"""Settings of compartments: what belongs to a patient, and what a practitioner may see."""

from collections.abc import Iterator, Mapping
from typing import Annotated, assert_never

from pydantic import AfterValidator, Field, PlainSerializer, StringConstraints

from gateway.fhir.matching.criterion import UnsupportedCriterionError, compile_criterion
from gateway.fhir.resources.compartments import get_membership_parameters
from gateway.fhir.search_parameters import SearchType, get_search_parameters
from gateway.policy.permission.reach_record import ALWAYS_DECIDES, RELATED_PERSON, ReachRecord
from gateway.policy.permission.rules import (
    EXTRA_MEMBERSHIP,
    SHARED_TYPES,
    FurtherRelatedPersons,
    MembershipMode,
    PractitionerReach,
    UnnarrowedSearch,
)
from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import (
    Count,
    ResourceType,
    SecondsOrZero,
    Text,
    to_plain_dict,
    to_read_only,
)

# Names of elements, joined by dots.
ElementPath = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z]*(\.[a-z][A-Za-z]*)*$")]


class PanelSearch(Section):
    """One search that finds a practitioner's patients."""

    resource_type: Annotated[ResourceType, Field(description="The type to search, such as `CareTeam`.")]
    parameter: Annotated[Text, Field(description="The parameter that takes the user, such as `participant`.")]
    patient_element: Annotated[
        ElementPath,
        Field(
            description="The element of the found resource that refers to the patients, such as `subject`, "
            "`member.entity` of a Group, `entry.item` of a List or `participant.actor` of an Appointment."
        ),
    ]
    criteria: Annotated[
        Annotated[Mapping[Text, Text], AfterValidator(to_read_only), PlainSerializer(to_plain_dict)],
        Field(
            default_factory=dict,
            description="What else a found resource must satisfy, such as `status: in-progress`: search parameters of "
            "R4 that the gateway can check itself.",
        ),
    ]

    @conflict_rule
    def _useless_parameter(self) -> Iterator[Conflict]:
        """A parameter that cannot take a user would find the patients of everyone, or of nobody."""
        if not _is_reference_parameter(self.resource_type, self.parameter):
            yield Conflict(("parameter",), f"must be a reference parameter of {self.resource_type} in R4")

    @conflict_rule
    def _unchecked_criteria(self) -> Iterator[Conflict]:
        """The gateway checks what it finds, so that a server which ignores a criterion adds no patient."""
        for name, value in self.criteria.items():
            try:
                compile_criterion(self.resource_type, name, None, value)
            except UnsupportedCriterionError as error:
                yield Conflict(("criteria", name), f"cannot be checked: {error.explanation}")

    def reach_record(self, bases: tuple[str, ...]) -> ReachRecord:
        """What of such a record decides on the panel."""
        user_types = frozenset({"Practitioner", "PractitionerRole"})
        user = compile_criterion(self.resource_type, self.parameter, None, "Practitioner/any", bases)
        criteria = tuple(
            compile_criterion(self.resource_type, name, None, value, bases) for name, value in self.criteria.items()
        )
        elements = ALWAYS_DECIDES.union(
            {self.patient_element.partition(".")[0]}, *(criterion.elements for criterion in (user, *criteria))
        )
        return ReachRecord(self.resource_type, user_types, elements, criteria)


class Compartments(Section):
    """What belongs to a patient, and what a practitioner may see."""

    membership: Annotated[
        MembershipMode,
        Field(
            description="`full`: every parameter of R4's CompartmentDefinition; `subject`: only those that say "
            "whom a record is about."
        ),
    ] = MembershipMode.FULL
    extra_membership: Annotated[
        Annotated[
            Mapping[ResourceType, Annotated[tuple[Text, ...], Field(min_length=1)]],
            AfterValidator(to_read_only),
            PlainSerializer(to_plain_dict),
        ],
        Field(description="Reference parameters that make more types part of the patient compartment."),
    ] = dict(EXTRA_MEMBERSHIP)
    shared_types: Annotated[
        frozenset[ResourceType],
        Field(
            description="Types outside the patient compartment that `patient/` scopes may read by id and as includes."
        ),
    ] = SHARED_TYPES
    searchable_shared_types: Annotated[
        frozenset[ResourceType],
        Field(description="Shared types that may be searched by any parameter, not only by `_id`."),
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
    search_without_narrowing: Annotated[
        UnnarrowedSearch,
        Field(
            description="What becomes of a search for which the FHIR server declares no parameter that limits it to "
            "the patients whom the token reaches. `allow`: all records of the type are read from the server, ten pages "
            "beyond the first at most, and those of others are left out; `refuse`: 403."
        ),
    ] = UnnarrowedSearch.ALLOW
    further_related_persons: Annotated[
        FurtherRelatedPersons,
        Field(
            description="How the other children of a parent are found, since a RelatedPerson belongs to one patient. "
            "`none`: not at all; `person`: by a Person that links to the RelatedPersons of the user; `identifier`: by "
            "RelatedPersons with the same identifier. Then no app may write a RelatedPerson or a Person."
        ),
    ] = FurtherRelatedPersons.NONE
    related_person_identifier_systems: Annotated[
        frozenset[Text],
        Field(description="The systems of identifiers that tell people apart, such as that of the user accounts."),
    ] = frozenset()
    max_patients: Annotated[
        Count,
        Field(
            description="How many patients a user can reach by a panel or as a RelatedPerson. Who has more reaches "
            "none."
        ),
    ] = 2000
    max_patients_per_search: Annotated[
        Count,
        Field(
            description="How many patients a search names, so that the FHIR server finds theirs alone. A search of a "
            "user who reaches more, and that names none of them, is one without narrowing (search_without_narrowing)."
        ),
    ] = 200
    cache_seconds: Annotated[
        SecondsOrZero,
        Field(
            description="How long a user's compartments are cached, from the start of their look-up: at the latest "
            "then, a patient who left a panel is out of reach."
        ),
    ] = 60.0

    @conflict_rule
    def _useless_membership(self) -> Iterator[Conflict]:
        for resource_type, names in self.extra_membership.items():
            for name in names:
                if not _is_reference_parameter(resource_type, name):
                    sentence = f"names {name!r}, which is no reference parameter of {resource_type} in R4"
                    yield Conflict(("extra_membership", resource_type), sentence)

    @conflict_rule
    def _shared_records_of_patients(self) -> Iterator[Conflict]:
        """No patient's record may be shared with everyone."""
        for resource_type in sorted(self.shared_types):
            if self._belongs_to_patients(resource_type):
                yield Conflict(
                    ("shared_types",), f"must not hold {resource_type}, whose records each belong to a patient"
                )

    @conflict_rule
    def _searchable_but_not_shared(self) -> Iterator[Conflict]:
        for resource_type in sorted(self.searchable_shared_types - self.shared_types):
            yield Conflict(("searchable_shared_types",), f"holds {resource_type}, which is not in shared_types")

    @conflict_rule
    def _panel_without_searches(self) -> Iterator[Conflict]:
        if self.practitioner_reach is PractitionerReach.PANEL and not self.panel:
            yield Conflict(("panel",), "is required when practitioner_reach is panel")
        if self.practitioner_reach is not PractitionerReach.PANEL and self.panel:
            yield Conflict(("panel",), "is used only when practitioner_reach is panel")

    @conflict_rule
    def _identifiers_without_systems(self) -> Iterator[Conflict]:
        """An identifier of just any system, such as the number of a family's insurance, would join strangers."""
        field, by_identifier = ("related_person_identifier_systems",), FurtherRelatedPersons.IDENTIFIER
        if self.further_related_persons is by_identifier and not self.related_person_identifier_systems:
            yield Conflict(field, "is required when further_related_persons is identifier")
        if self.further_related_persons is not by_identifier and self.related_person_identifier_systems:
            yield Conflict(field, "is used only when further_related_persons is identifier")

    @property
    def deciding_types(self) -> frozenset[str]:
        """The types whose records say for whom a user stands: an app that wrote them could widen its own reach."""
        if self.further_related_persons is FurtherRelatedPersons.NONE:
            return frozenset()
        return frozenset({"RelatedPerson", "Person"})

    def reach_records(self, bases: tuple[str, ...]) -> tuple[ReachRecord, ...]:
        """The records by which the reach of users is found, beside the types that no write touches."""
        match self.practitioner_reach:
            case PractitionerReach.PANEL:
                return (RELATED_PERSON, *(search.reach_record(bases) for search in self.panel))
            case PractitionerReach.COMPARTMENT:
                role = frozenset({"PractitionerRole"})
                return RELATED_PERSON, ReachRecord("PractitionerRole", role, ALWAYS_DECIDES | {"practitioner"})
            case PractitionerReach.ALL:
                return (RELATED_PERSON,)
        assert_never(self.practitioner_reach)

    def _belongs_to_patients(self, resource_type: str) -> bool:
        return (
            resource_type == "Patient"
            or resource_type in self.extra_membership
            or bool(get_membership_parameters("Patient", resource_type))
        )


def _is_reference_parameter(resource_type: str, name: str) -> bool:
    parameter = get_search_parameters(resource_type).get(name)
    return parameter is not None and parameter.type is SearchType.REFERENCE
