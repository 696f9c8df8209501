"""The operator's rules on reach, as one value that every decision receives (enforcement.md 2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from gateway.policy.permission.access import Access
from gateway.policy.permission.operation_rule import OperationAddress, OperationRule
from gateway.policy.permission.reach_record import RELATED_PERSON, ReachRecord
from gateway.policy.permission.record_rule import RecordRule
from gateway.scopes.resource_types import RESOURCE_TYPES


class MembershipMode(StrEnum):
    """Which references make a resource a member of a compartment.

    FULL: all of the R4 CompartmentDefinition. SUBJECT: only those to whom the record is about (edge case 108).
    """

    FULL = "full"
    SUBJECT = "subject"


class PractitionerReach(StrEnum):
    """What a Practitioner or PractitionerRole may see with `user/` scopes.

    ALL: every resource. COMPARTMENT: the resources in their compartment. PANEL: the compartments of the patients that a
    configured search finds.
    """

    ALL = "all"
    COMPARTMENT = "compartment"
    PANEL = "panel"


class FurtherRelatedPersons(StrEnum):
    """How the further RelatedPersons of a user are found, of which each belongs to one patient.

    NONE: the one that the token names is the only one. PERSON: a Person links to it and to the others. IDENTIFIER: they
    share an identifier of a configured system.
    """

    NONE = "none"
    PERSON = "person"
    IDENTIFIER = "identifier"


class UnnarrowedSearch(StrEnum):
    """What becomes of a search that the FHIR server cannot be asked to limit to whom the token reaches.

    ALLOW: it is sent, and what comes back is verified entry by entry. REFUSE: it is refused.
    """

    ALLOW = "allow"
    REFUSE = "refuse"


# A Subscription has the FHIR server send records to wherever it says, past the gateway and after its token has ended. A
# SearchParameter changes what the server finds by the criteria that narrow a search.
NEVER_WRITTEN = frozenset({"SearchParameter", "Subscription"})


@dataclass(frozen=True, slots=True)
class WriteRules:
    """What the operator decides about writes.

    With `accept_races` a write is sent although the FHIR server cannot tie it to the version that was checked.
    `check_references` says whether the records that a body refers to are looked up. `never` are types, and resources as
    `Type/id`, that no write touches. With `patch_unread` a record is patched by who may change but not read it. With
    `change_own_reach` users write the records by which their reach is found as they like.
    """

    allow: bool = True
    accept_races: bool = False
    check_references: bool = True
    patch_unread: bool = True
    change_own_reach: bool = False
    never: frozenset[str] = NEVER_WRITTEN

    @property
    def writable_types(self) -> frozenset[str]:
        """The types whose resources may be written, if a scope says so."""
        return RESOURCE_TYPES - self.never if self.allow else frozenset()


@dataclass(frozen=True, slots=True)
class ExportRules:
    """What the operator decides about bulk exports.

    `type_filters`: the FHIR server knows `_typeFilter`, by which exports are narrowed. With `group_needs_scope`
    only those may export a Group who may read it.
    """

    allow: bool = True
    type_filters: bool = True
    group_needs_scope: bool = True


# Types outside the patient compartment to which patient records refer (checklist edge case 110).
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

# Types that the R4 CompartmentDefinition leaves out, although they are about one patient, with the search parameters.
EXTRA_MEMBERSHIP: Mapping[str, tuple[str, ...]] = MappingProxyType({"Device": ("patient",), "Task": ("patient",)})
_NO_EXTRA: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's rules, the base URLs of the resources, and what the FHIR server supports.

    `public_base` is the URL of the gateway, `upstream_base` that of the FHIR server, and `upstream_aliases` are others
    that it goes by, all without trailing slash.
    `extra_membership` adds search parameters to R4's patient compartment. `shared_types` can be read by id by every
    token that has a scope for them, and `searchable_shared_types` can be searched as well. `compartment_search` says
    that the FHIR server supports `Patient/A/Observation`. No search lists more than `max_owners_per_search` owners.
    `operations` are the operations of the manifest; no other is
    let through. `unsupported_parameters` are the search parameters, by
    resource type, that its CapabilityStatement does not declare (enforcement.md 8). Until the CapabilityStatement has
    been read (`has_capability_statement`), it is not known which parameters narrow a search, so no count is trusted.
    `conditional_delete_types` are those for which it declares conditional deletes. `record_rules` take away from what
    scopes permit. By `reach_records` the reach of users is found.
    """

    public_base: str
    upstream_base: str
    upstream_aliases: tuple[str, ...] = ()
    membership: MembershipMode = MembershipMode.FULL
    extra_membership: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: EXTRA_MEMBERSHIP)
    shared_types: frozenset[str] = SHARED_TYPES
    searchable_shared_types: frozenset[str] = frozenset()
    practitioner_reach: PractitionerReach = PractitionerReach.ALL
    search_without_narrowing: UnnarrowedSearch = UnnarrowedSearch.ALLOW
    compartment_search: bool = False
    max_owners_per_search: int = 200
    operations: Mapping[OperationAddress, OperationRule] = field(default_factory=lambda: MappingProxyType({}))
    unsupported_parameters: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    has_capability_statement: bool = True
    writes: WriteRules = field(default_factory=WriteRules)
    conditional_delete_types: frozenset[str] = frozenset()
    exports: ExportRules = field(default_factory=ExportRules)
    record_rules: tuple[RecordRule, ...] = ()
    reach_records: tuple[ReachRecord, ...] = (RELATED_PERSON,)

    def extra_membership_for(self, compartment_type: str) -> Mapping[str, tuple[str, ...]]:
        """The additions to R4's definition of a compartment. Only the patient compartment has any."""
        return self.extra_membership if compartment_type == "Patient" else _NO_EXTRA

    def decisive_claims(self, access: Access) -> object:
        """What a grant depends on beside scopes, patient and user: all that a record rule may look at."""
        if not self.record_rules:
            return None
        return access.issuer, access.client_id, access.subject, access.scope_text, access.roles, access.purposes_of_use

    @property
    def bases(self) -> tuple[str, ...]:
        """All bases, under which an absolute reference is recognised."""
        return (self.public_base, self.upstream_base, *self.upstream_aliases)
