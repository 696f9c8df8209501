"""Settings of rules about records beside the scopes: security labels, and rules of the site."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from gateway.policy.permission.record_rule import RecordRule
from gateway.policy.permission.security_labels import SecurityLabelRule
from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import ResourceType, Seconds, Text
from gateway.site_rules.load import load_site_rule
from gateway.site_rules.timed_rule import TimedRule

_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_USER_TYPES = frozenset({"Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person"})


class SecurityLabels(Section):
    """Records that need more than a scope, because of `meta.security`. One of the lists suffices."""

    labels: Annotated[
        frozenset[Text],
        Field(
            description="The labels: codes with their system as in a search, with a bar between, or a code alone for "
            "any system. Without any, labels do not count."
        ),
    ] = frozenset()
    roles: Annotated[
        frozenset[Text],
        Field(
            description="Roles of users that see such records: in the tokens of other issuers, of users of "
            "smart_server.users, or of its providers."
        ),
    ] = frozenset()
    purposes_of_use: Annotated[
        frozenset[Text],
        Field(
            description="Purposes of use for which such records are shown; a coded one with its system, as labels are. "
            "They are in the tokens of other issuers, or named by a user on the consent page "
            "(smart_server.purposes_of_use)."
        ),
    ] = frozenset()
    scopes: Annotated[frozenset[Text], Field(description="Scopes, such as a URI of yours, that show such records.")] = (
        frozenset()
    )
    user_types: Annotated[
        frozenset[ResourceType],
        Field(description="Types of the fhirUser, such as `Practitioner`, who sees such records."),
    ] = frozenset()

    changing_roles: Annotated[
        frozenset[Text],
        Field(
            description="Roles that may take such a label away from a record, or add one to it, if they may see and "
            "change it. For all others the labels stay as they are."
        ),
    ] = frozenset()
    changing_scopes: Annotated[frozenset[Text], Field(description="Scopes that may do the same.")] = frozenset()

    @conflict_rule
    def _lists_without_labels(self) -> Iterator[Conflict]:
        lists = (self.roles, self.purposes_of_use, self.scopes, self.user_types)
        if any(lists) and not self.labels:
            yield Conflict(("labels",), "is required where roles, purposes_of_use, scopes or user_types are given")
        if (self.changing_roles or self.changing_scopes) and not self.labels:
            yield Conflict(("labels",), "is required where changing_roles or changing_scopes are given")

    @conflict_rule
    def _less_confidential_alone(self) -> Iterator[Conflict]:
        """V is more confidential than R (v3-Confidentiality), so that records with V alone would be open."""
        for restricted, very_restricted in (("R", "V"), (f"{_CONFIDENTIALITY}|R", f"{_CONFIDENTIALITY}|V")):
            if restricted in self.labels and self.labels.isdisjoint({"V", very_restricted}):
                yield Conflict(("labels",), f"holds {restricted} without {very_restricted}, which is more confidential")

    @conflict_rule
    def _no_users(self) -> Iterator[Conflict]:
        for name in sorted(self.user_types - _USER_TYPES):
            yield Conflict(("user_types",), f"holds {name}, which no fhirUser is")


class RecordRules(Section):
    """Rules about records beside the scopes. They take away from what scopes permit, in every interaction."""

    security_labels: Annotated[SecurityLabels, Field(description="Records that need more than a scope.")] = (
        SecurityLabels()
    )
    site_rules: Annotated[
        tuple[Text, ...],
        Field(
            description="Rules of your own, by their names in the entry point group `smart_fhir_gateway.rules`. See "
            "docs/site-rules.md."
        ),
    ] = ()
    site_rule_seconds: Annotated[
        Seconds, Field(le=1, description="How long one judgement of such a rule may take; then it denies. At most 1.")
    ] = 0.05

    def rules(self) -> tuple[RecordRule, ...]:
        """The rules as decisions need them. Raises `SiteRuleError`, which the start reports before anything else."""
        labels = self.security_labels
        shipped = (
            SecurityLabelRule(
                labels.labels,
                labels.roles,
                labels.purposes_of_use,
                labels.scopes,
                labels.user_types,
                labels.changing_roles,
                labels.changing_scopes,
            ),
        )
        return (*(shipped if labels.labels else ()), *self.load_site_rules())

    def load_site_rules(self) -> tuple[TimedRule, ...]:
        """The rules of the site, the same ones each time. Raises `SiteRuleError`."""
        return tuple(load_site_rule(name, self.site_rule_seconds) for name in self.site_rules)
