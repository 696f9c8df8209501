"""One entry of the manifest of operations, as it is written."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer

from gateway.settings.section import Section
from gateway.settings.setting_types import Flag, ResourceType, Text, to_plain_dict, to_read_only


class OperationEntry(Section):
    """One operation of the manifest. What is left out stays as the shipped entry has it."""

    enabled: Annotated[Flag | None, Field(description="Whether the operation is let through.")] = None
    needs: Annotated[
        tuple[Text, ...] | None,
        Field(
            description="The letters that a token needs, such as `Patient.r`; `[type].r` for the type of the request."
        ),
    ] = None
    methods: Annotated[
        tuple[Literal["GET", "POST"], ...] | None, Field(min_length=1, description="How it may be invoked.")
    ] = None
    affects_state: Annotated[
        Flag | None,
        Field(description="Whether it changes anything: then by POST only, and with scopes that have no limits."),
    ] = None
    parameters: Annotated[
        Annotated[Mapping[Text, Text], AfterValidator(to_read_only), PlainSerializer(to_plain_dict)] | None,
        Field(
            description="The parameters that are let through: the type of each, how often it may come, and its codes."
        ),
    ] = None
    answer: Annotated[
        Literal["judged", "whole", "meta", "outcome", "terminology"] | None,
        Field(description="What of the answer may leave the gateway."),
    ] = None
    answer_types: Annotated[
        tuple[ResourceType, ...] | None, Field(description="The only types that the answer may hold.")
    ] = None

    answer_parameters: Annotated[
        tuple[Text, ...] | None,
        Field(
            description="The names of the parameters that the answer may hold, at any depth. Where it is judged, "
            "`return` is one, and parameters of other names lose them."
        ),
    ] = None
    texts: Annotated[
        Literal["none", "server"] | None,
        Field(
            description="What an `outcome` says in words: `none`, so that it is made of codes and places in what the "
            "app sent, or what the `server` writes, whatever that is."
        ),
    ] = None
    despite_record_rules: Annotated[
        Flag | None,
        Field(
            description="Let a terminology through for tokens that record_rules limit as well: it may draw on "
            "definitions that a rule withholds."
        ),
    ] = None

    def over(self, shipped: "OperationEntry | None") -> "OperationEntry":
        """The entry with what it leaves out as in `shipped`."""
        if shipped is None:
            return self
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return shipped.model_copy(update=given)
