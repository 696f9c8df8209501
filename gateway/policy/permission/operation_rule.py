"""The rule for one operation, as the manifest states it: what it needs, what goes in, and what may come out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.fhir.request.interaction import Operation, OperationLevel
from gateway.scopes.model import ANY_TYPE, Letter
from gateway.scopes.resource_types import RESOURCE_TYPES


@dataclass(frozen=True, slots=True)
class OperationAddress:
    """Where an operation is invoked. `resource_type` is None at system level, and elsewhere for every type."""

    level: OperationLevel
    resource_type: str | None
    name: str

    def __str__(self) -> str:
        resource_type = self.resource_type or "[type]"
        match self.level:
            case OperationLevel.SYSTEM:
                return f"${self.name}"
            case OperationLevel.TYPE:
                return f"{resource_type}/${self.name}"
            case OperationLevel.INSTANCE:
                return f"{resource_type}/[id]/${self.name}"


class ParameterType(StrEnum):
    """How the value of a parameter is read. Nothing is sent that was not read.

    COUNT: a whole number, reduced to the longest page. DATE: a date or a time, to whatever precision. TYPES: names of
    resource types, cut to those that the answer may hold. PATIENT: a patient whom the token reaches. RESOURCE: a
    resource of the type that the operation is invoked on, held to the letters that the operation needs. DEFINITION: a
    resource that belongs to no patient, such as a ValueSet. DEMOGRAPHICS: a Patient without references.
    """

    BOOLEAN = "boolean"
    INTEGER = "integer"
    COUNT = "count"
    DATE = "date"
    INSTANT = "instant"
    CODE = "code"
    STRING = "string"
    URI = "uri"
    CODING = "Coding"
    CODEABLE_CONCEPT = "CodeableConcept"
    TYPES = "types"
    PATIENT = "patient"
    RESOURCE = "resource"
    DEFINITION = "definition"
    DEMOGRAPHICS = "demographics"


# The parameters that hold a resource, so that the body of the request may be that resource alone.
RESOURCE_PARAMETERS = frozenset({ParameterType.RESOURCE, ParameterType.DEFINITION, ParameterType.DEMOGRAPHICS})


@dataclass(frozen=True, slots=True)
class OperationParameter:
    """One parameter of an operation. `codes` are the values that a CODE may have; empty for any."""

    name: str
    type: ParameterType
    is_required: bool = False
    is_repeatable: bool = False
    codes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """Each resource of a Bundle or of Parameters is judged by itself; a single resource as a whole.

    `types` are the only ones that may come; None for all. Of Parameters the names in `parameters` are kept.
    """

    types: frozenset[str] | None = None
    parameters: frozenset[str] = frozenset({"return"})


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """One resource, such as a document, which comes only if everything in it may be seen."""


@dataclass(frozen=True, slots=True)
class MetaAnswer:
    """`Meta` of the record, made here from the record, which was read and judged."""


@dataclass(frozen=True, slots=True)
class OutcomeAnswer:
    """An OperationOutcome, made anew of severities, codes and places in the resource that the client sent.

    With `has_texts` it is the server's own, or its Parameters that hold no other resource: texts that nothing bounds.
    """

    has_texts: bool = False


@dataclass(frozen=True, slots=True)
class TerminologyAnswer:
    """A resource of `types`, which belong to no patient, or Parameters with those of the names in `parameters`.

    No resource of another type is in them.
    """

    types: frozenset[str]
    parameters: frozenset[str] = frozenset()


AnswerRule = JudgedAnswer | WholeAnswer | MetaAnswer | OutcomeAnswer | TerminologyAnswer


@dataclass(frozen=True, slots=True)
class OperationNeed:
    """A letter that the token needs for a type. `resource_type` is None for the type that the operation is invoked on.

    At system level there is none, so that it names its type.
    """

    resource_type: str | None
    letter: Letter


@dataclass(frozen=True, slots=True)
class OperationRule:
    """The rule for one operation. An operation that changes something is invoked by POST only.

    It also needs scopes without any limit for what it needs, because nothing tells beforehand what it changes. A
    terminology is let through `despite_record_rules` that limit the token, or not at all for such a token: which
    definitions it draws on is not known.
    """

    address: OperationAddress
    is_enabled: bool
    methods: tuple[str, ...]
    needs: tuple[OperationNeed, ...]
    parameters: Mapping[str, OperationParameter]
    answer: AnswerRule
    affects_state: bool = False
    despite_record_rules: bool = False

    def resource_parameter(self) -> OperationParameter | None:
        """The one parameter that the body may be, without Parameters around it; None if there is not exactly one."""
        found = [parameter for parameter in self.parameters.values() if parameter.type in RESOURCE_PARAMETERS]
        return found[0] if len(found) == 1 else None


def find_operation_rule(
    operation: Operation, operations: Mapping[OperationAddress, OperationRule]
) -> OperationRule | None:
    """The rule for the type itself, or the one for every type; None if the manifest has neither."""
    own = operations.get(OperationAddress(operation.level, operation.resource_type, operation.name))
    return own or operations.get(OperationAddress(operation.level, None, operation.name))


def list_enabled_operations(operations: Mapping[OperationAddress, OperationRule]) -> Mapping[str, frozenset[str]]:
    """The names of the operations that are let through, by resource type; those at system level under `*`."""
    names: dict[str, set[str]] = {}
    for address, rule in operations.items():
        if not rule.is_enabled:
            continue
        types: Iterable[str] = (address.resource_type,) if address.resource_type is not None else RESOURCE_TYPES
        for name in (ANY_TYPE,) if address.level is OperationLevel.SYSTEM else types:
            names.setdefault(name, set()).add(address.name)
    return {name: frozenset(found) for name, found in names.items()}
