"""Settings about writes: what apps may change, beside what their scopes say."""

from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.fhir.reference import parse_reference
from gateway.policy.permission.rules import NEVER_WRITTEN, WriteRules
from gateway.scopes.resource_types import RESOURCE_TYPES
from gateway.settings.section import Section
from gateway.settings.setting_types import Flag, Text


def _check_name(name: str) -> str:
    """A type, or a resource as `Type/id`."""
    reference = parse_reference(name)
    if name not in RESOURCE_TYPES and (reference is None or reference.resource_type not in RESOURCE_TYPES):
        raise ValueError("is neither a resource type of R4 nor a resource, such as Patient/123")
    return name


class Writes(Section):
    """What apps may change. Their scopes decide: `c` creates, `u` updates and patches, `d` deletes."""

    allow: Annotated[
        Flag, Field(description="Whether anything may be written at all; without it, scopes grant no writes.")
    ] = True
    accept_races: Annotated[
        Flag,
        Field(
            description="Send a write also where the FHIR server cannot tie it to the version that was checked: to a "
            "server without versions, an update that creates, a delete without a conditional form. Somebody else's "
            "change in between can then be overwritten."
        ),
    ] = False
    check_references: Annotated[
        Flag,
        Field(
            description="Look up the records that a body refers to. They must belong to the same patient; otherwise "
            "the FHIR server's answer could tell whether another patient's record exists."
        ),
    ] = True
    patch_unread: Annotated[
        Flag,
        Field(
            description="Let a token with `u` patch a record that it may not read: whole elements only, so that no "
            "answer of the gateway depends on what is stored. Whether the FHIR server accepts the result can."
        ),
    ] = True
    change_own_reach: Annotated[
        Flag,
        Field(
            description="Let users write the records by which their own reach is found (those of a panel, a role, a "
            "RelatedPerson) so that they count anew, longer or for others. Without it they may end them, and change "
            "what does not decide."
        ),
    ] = False
    never: Annotated[
        frozenset[Annotated[Text, AfterValidator(_check_name)]],
        Field(
            description="Types, and resources as `Type/id`, that no write touches, whatever a scope says. Keep "
            "Subscription, by which a FHIR server sends records past this gateway, and SearchParameter, which changes "
            "what it finds."
        ),
    ] = NEVER_WRITTEN

    def rules(self, *, also_never: frozenset[str] = frozenset()) -> WriteRules:
        """The settings as decisions need them. `also_never` are further types that no write touches."""
        return WriteRules(
            self.allow,
            self.accept_races,
            self.check_references,
            self.patch_unread,
            self.change_own_reach,
            never=self.never | also_never,
        )
