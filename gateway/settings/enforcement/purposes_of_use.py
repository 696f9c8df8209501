"""Settings of the purposes of use that the consent page offers, for the rules about records that ask for one."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from gateway.oauth.purpose_of_use import KNOWN_PURPOSES, OfferedPurpose
from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import Line, Text

PurposeUser = Literal["Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person"]


class PurposeOfUse(Section):
    """A purpose of use that users may name on the consent page."""

    code: Annotated[
        Text,
        Field(
            description="The purpose, as record_rules.security_labels.purposes_of_use has it: a code with its system, "
            "with a bar between, or a word."
        ),
    ]
    name: Annotated[
        Line | None,
        Field(
            max_length=100,
            description="What the page calls it, in every language. Purposes of HL7's `v3-ActReason` such as `ETREAT`, "
            "`BTG` or `CAREMGT` have words in each language without it.",
        ),
    ] = None
    user_types: Annotated[
        frozenset[PurposeUser],
        Field(min_length=1, description="The types of the own resource of users who may name it."),
    ] = frozenset({"Practitioner", "PractitionerRole"})
    roles: Annotated[
        frozenset[Text],
        Field(description="The roles of users who may name it; without any, all of these types."),
    ] = frozenset()

    @conflict_rule
    def _without_a_name(self) -> Iterator[Conflict]:
        if self.name is None and self.code not in KNOWN_PURPOSES:
            yield Conflict(("name",), "is required: the pages have no words for this code")

    def offered(self) -> OfferedPurpose:
        """The purpose as the protocol sees it."""
        return OfferedPurpose(self.code, self.name or "", frozenset(self.user_types), self.roles)
