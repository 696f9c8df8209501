"""Compartments: which resources belong to a patient, a practitioner or an encounter (R4 CompartmentDefinition)."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.fhir.matching.fhirpath import CompiledExpression, compile_expression
from gateway.fhir.reference import ID_PATTERN, parse_reference
from gateway.fhir.search_parameters import SearchParameter, SearchType, find_aliases, get_search_parameters

_TABLE: Mapping[str, Mapping[str, list[str]]] = MappingProxyType(
    json.loads(Path(__file__).parents[1].joinpath("tables", "compartments.json").read_text(encoding="utf-8"))
)
# The types that have a compartment.
COMPARTMENT_TYPES = frozenset(_TABLE)

_NO_EXTRA_PARAMETERS: Mapping[str, tuple[str, ...]] = MappingProxyType({})

# The parameters that say whom a resource is about, best first. The first that defines membership narrows a search.
_OWNER_PARAMETERS = {
    "Patient": ("patient", "subject", "individual", "beneficiary", "actor", "member", "source", "author"),
    "Practitioner": ("practitioner", "performer", "participant", "author", "actor"),
    "Encounter": ("encounter", "context"),
    "Device": ("device", "subject", "performer", "author"),
    "RelatedPerson": ("participant", "performer", "author", "informant", "source"),
}

# The owner of a resource whose reference is malformed: a list in place of a single reference, or a literal reference
# that contradicts its `type`. It is not a valid id, so it grants nothing. It still counts as an owner outside the
# reach, so that a malformed reference cannot hide another patient.
UNKNOWN_OWNER = "?"

# An id, `/_history/` and a version id.
_MAX_ID_AND_VERSION = 64 + 10 + 64


@dataclass(frozen=True, slots=True)
class Membership:
    """The rule that makes resources of one type members of compartments.

    `find_compartment_ids` returns the ids of all compartments that a resource belongs to, from its members in
    `elements`. It never raises. Only literal references to resources of the FHIR server count, not identifiers or
    displays. A malformed reference counts as `UNKNOWN_OWNER`.
    """

    elements: frozenset[str]
    find_compartment_ids: Callable[[Mapping[str, Any]], set[str]]


def get_membership_parameters(compartment_type: str, resource_type: str) -> tuple[str, ...]:
    """The search parameters that make a type a member, as R4 defines them. Empty if the type is outside.

    The resource that defines the compartment is a member by its id. `Patient?link=` is left out, because links are not
    followed (SC-45).
    """
    if resource_type == compartment_type:
        return ()
    return tuple(_TABLE.get(compartment_type, {}).get(resource_type, ()))


def find_narrowing_parameter(
    compartment_type: str, resource_type: str, extra_parameters: Mapping[str, tuple[str, ...]] = _NO_EXTRA_PARAMETERS
) -> str | None:
    """The search parameter that says whom a resource is about. None if the type is outside the compartment.

    An alias for the same element is preferred if its only target is the compartment's type: `patient` for `subject`.
    """
    if resource_type == compartment_type:
        return "_id"
    names = _get_parameter_names(compartment_type, resource_type, extra_parameters)
    definitions = get_search_parameters(resource_type)
    alias = compartment_type.lower()
    is_alias_reference = alias in definitions and definitions[alias].type is SearchType.REFERENCE
    if is_alias_reference and alias not in names and not find_aliases(resource_type, alias).isdisjoint(names):
        return alias
    preferred = [name for name in _OWNER_PARAMETERS.get(compartment_type, ()) if name in names]
    return next(iter([*preferred, *names]), None)


def _get_parameter_names(
    compartment_type: str, resource_type: str, extra_parameters: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    parameters = (*get_membership_parameters(compartment_type, resource_type), *extra_parameters.get(resource_type, ()))
    definitions = get_search_parameters(resource_type)
    return tuple(dict.fromkeys(name for name in parameters if name in definitions))


def compile_membership(
    compartment_type: str,
    resource_type: str,
    *,
    subject_only: bool = False,
    extra_parameters: Mapping[str, tuple[str, ...]] = _NO_EXTRA_PARAMETERS,
    bases: tuple[str, ...] = (),
) -> Membership | None:
    """Compile the membership rule of `resource_type`. None if the type is outside the compartment.

    `extra_parameters` are further membership parameters by type. `subject_only` keeps only the parameters for the
    element that says whom the resource is about (edge case 108). `bases` are the base URLs of the FHIR server.
    """
    return _compile_membership_cached(
        compartment_type, resource_type, subject_only, extra_parameters.get(resource_type, ()), bases
    )


@lru_cache(maxsize=4096)
def _compile_membership_cached(
    compartment_type: str,
    resource_type: str,
    subject_only: bool,
    extra_parameters: tuple[str, ...],
    bases: tuple[str, ...],
) -> Membership | None:
    if resource_type == compartment_type:
        return Membership(frozenset({"id"}), _read_own_id)
    names = _get_parameter_names(compartment_type, resource_type, {resource_type: extra_parameters})
    if subject_only:
        names = _select_subject_parameters(compartment_type, resource_type, names, extra_parameters)
    if not names:
        return None
    definitions = get_search_parameters(resource_type)
    expression = compile_expression(
        _join_expressions([definitions[name] for name in names], compartment_type), resource_type
    )
    return Membership(expression.elements, _compile_id_finder(expression, compartment_type, bases))


def _join_expressions(parameters: Iterable[SearchParameter], compartment_type: str) -> str:
    """The union of the parameters' expressions, with each element once.

    `patient` is often `subject` with a filter for patients. The filter is removed, because other types do not count.
    """
    union = " | ".join(parameter.expression for parameter in parameters)
    unfiltered = union.replace(f".where(resolve() is {compartment_type})", "")
    return " | ".join(dict.fromkeys(unfiltered.split(" | ")))


def _select_subject_parameters(
    compartment_type: str, resource_type: str, names: tuple[str, ...], extra_parameters: tuple[str, ...]
) -> tuple[str, ...]:
    owner = find_narrowing_parameter(compartment_type, resource_type, {resource_type: extra_parameters})
    if owner is None:
        return ()
    owner_aliases = find_aliases(resource_type, owner)
    return tuple(name for name in names if name in extra_parameters or name in owner_aliases)


def _read_own_id(resource: Mapping[str, Any]) -> set[str]:
    resource_id = resource.get("id")
    return {resource_id} if isinstance(resource_id, str) and ID_PATTERN.fullmatch(resource_id) else {UNKNOWN_OWNER}


def _compile_id_finder(
    expression: CompiledExpression, compartment_type: str, bases: tuple[str, ...]
) -> Callable[[Mapping[str, Any]], set[str]]:
    evaluate = expression.evaluate
    # Most references have other targets. These prefixes exclude them cheaply.
    reference_prefixes = (f"{compartment_type}/", *(f"{base}/{compartment_type}/" for base in bases))
    max_length = max(map(len, reference_prefixes)) + _MAX_ID_AND_VERSION

    def find_compartment_ids(resource: Mapping[str, Any]) -> set[str]:
        compartment_ids: set[str] = set()
        for value in evaluate(resource):
            text = value.get("reference") if isinstance(value, dict) else value
            if text is None:
                continue
            if text is value or not isinstance(text, str):
                compartment_ids.add(UNKNOWN_OWNER)
            elif text.startswith(reference_prefixes) and len(text) <= max_length:
                compartment_id = _parse_compartment_id(text, compartment_type, bases)
                if compartment_id is not None:
                    compartment_ids.add(
                        compartment_id if value.get("type") in (None, compartment_type) else UNKNOWN_OWNER
                    )
        return compartment_ids

    return find_compartment_ids


@lru_cache(maxsize=8192)
def _parse_compartment_id(text: str, compartment_type: str, bases: tuple[str, ...]) -> str | None:
    """The id if the reference has that type. Cached, because the resources of one response repeat it."""
    reference = parse_reference(text, bases)
    return reference.id if reference is not None and reference.resource_type == compartment_type else None
