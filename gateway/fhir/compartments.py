"""Compartments: which resources belong to a patient, a practitioner, an encounter (R4 CompartmentDefinition)."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.fhir.expression import Compiled, compile_expression
from gateway.fhir.reference import ID, parse_reference
from gateway.fhir.search_parameters import SearchParameter, SearchType, aliases, parameters_of

_TABLE: Mapping[str, Mapping[str, list[str]]] = MappingProxyType(
    json.loads(Path(__file__).parent.joinpath("tables", "compartments.json").read_text(encoding="utf-8"))
)
_NO_EXTRA: Mapping[str, tuple[str, ...]] = MappingProxyType({})

# Which parameter says whom a record is about, best first; the first that is part of the membership narrows a search.
_OWNERS = {
    "Patient": ("patient", "subject", "individual", "beneficiary", "actor", "member", "source", "author"),
    "Practitioner": ("practitioner", "performer", "participant", "author", "actor"),
    "Encounter": ("encounter", "context"),
    "Device": ("device", "subject", "performer", "author"),
    "RelatedPerson": ("participant", "performer", "author", "informant", "source"),
}

# Stands for an owner that cannot be told: two in a list where one was meant, a literal that its own type contradicts.
# It is no id, so it grants nothing; but it is somebody other than those in reach, so no stranger hides in an odd shape.
NOBODY = "?"

# An id, `/_history/` and a version id.
_LONGEST_REST = 64 + 10 + 64


@dataclass(frozen=True, slots=True)
class Membership:
    """What makes a resource of one type a member.

    `references` gives the ids of every compartment that it belongs to, from its members in `elements`; it never
    raises. Only literal references to this server count: one by identifier or display alone proves nothing, and what
    has an odd shape is `NOBODY`'s.
    """

    elements: frozenset[str]
    references: Callable[[Mapping[str, Any]], set[str]]


def compartment_types() -> frozenset[str]:
    """The five types that have a compartment."""
    return frozenset(_TABLE)


def membership_parameters(compartment_type: str, resource_type: str) -> tuple[str, ...]:
    """The parameters that R4 names; none where the type is outside.

    A compartment's own resource is a member by being it. `Patient?link=` is left out: links are not followed (SC-45).
    """
    if resource_type == compartment_type:
        return ()
    return tuple(_TABLE.get(compartment_type, {}).get(resource_type, ()))


def narrowing_parameter(
    compartment_type: str, resource_type: str, extra: Mapping[str, tuple[str, ...]] = _NO_EXTRA
) -> str | None:
    """The one search parameter that says whom the record is about; None where the type is outside.

    An alias over the same element is preferred where it leads to the compartment's type alone: `patient` for `subject`.
    """
    if resource_type == compartment_type:
        return "_id"
    names = _names(compartment_type, resource_type, extra)
    definitions = parameters_of(resource_type)
    alias = compartment_type.lower()
    leads_to_owner = alias in definitions and definitions[alias].type is SearchType.REFERENCE
    if leads_to_owner and alias not in names and not aliases(resource_type, alias).isdisjoint(names):
        return alias
    preferred = [name for name in _OWNERS.get(compartment_type, ()) if name in names]
    return next(iter([*preferred, *names]), None)


def _names(compartment_type: str, resource_type: str, extra: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    named = (*membership_parameters(compartment_type, resource_type), *extra.get(resource_type, ()))
    definitions = parameters_of(resource_type)
    return tuple(dict.fromkeys(name for name in named if name in definitions))


def compile_membership(
    compartment_type: str,
    resource_type: str,
    *,
    subject_only: bool = False,
    extra: Mapping[str, tuple[str, ...]] = _NO_EXTRA,
    bases: tuple[str, ...] = (),
) -> Membership | None:
    """What makes `resource_type` a member; None where it never is one.

    `extra` names further parameters per type. `subject_only` keeps those over the element that says whom the record
    is about (edge case 108). `bases` are the base URLs under which absolute references are ours.
    """
    return _compile(compartment_type, resource_type, subject_only, extra.get(resource_type, ()), bases)


@lru_cache(maxsize=4096)
def _compile(
    compartment_type: str, resource_type: str, subject_only: bool, extra: tuple[str, ...], bases: tuple[str, ...]
) -> Membership | None:
    if resource_type == compartment_type:
        return Membership(frozenset({"id"}), _own_id)
    names = _names(compartment_type, resource_type, {resource_type: extra})
    if subject_only:
        names = _about(compartment_type, resource_type, names, extra)
    if not names:
        return None
    definitions = parameters_of(resource_type)
    reader = compile_expression(_united([definitions[name] for name in names], compartment_type), resource_type)
    return Membership(reader.elements, _references(reader, compartment_type, bases))


def _united(parameters: Iterable[SearchParameter], compartment_type: str) -> str:
    """All that the parameters reach, each element once.

    `patient` is often `subject` with a filter for patients; the filter says nothing new, as only those count here.
    """
    whole = " | ".join(parameter.expression for parameter in parameters)
    unfiltered = whole.replace(f".where(resolve() is {compartment_type})", "")
    return " | ".join(dict.fromkeys(unfiltered.split(" | ")))


def _about(
    compartment_type: str, resource_type: str, names: tuple[str, ...], extra: tuple[str, ...]
) -> tuple[str, ...]:
    owner = narrowing_parameter(compartment_type, resource_type, {resource_type: extra})
    if owner is None:
        return ()
    same = aliases(resource_type, owner)
    return tuple(name for name in names if name in extra or name in same)


def _own_id(resource: Mapping[str, Any]) -> set[str]:
    own = resource.get("id")
    return {own} if isinstance(own, str) and ID.fullmatch(own) else {NOBODY}


def _references(
    reader: Compiled, compartment_type: str, bases: tuple[str, ...]
) -> Callable[[Mapping[str, Any]], set[str]]:
    values = reader.values
    # Most references lead elsewhere; these are the only beginnings of one that can count.
    beginnings = (f"{compartment_type}/", *(f"{base}/{compartment_type}/" for base in bases))
    longest = max(map(len, beginnings)) + _LONGEST_REST

    def references(resource: Mapping[str, Any]) -> set[str]:
        found: set[str] = set()
        for value in values(resource):
            text = value.get("reference") if isinstance(value, dict) else value
            if text is None:
                continue
            if text is value or not isinstance(text, str):
                found.add(NOBODY)
            elif text.startswith(beginnings) and len(text) <= longest:
                member = _member_id(text, compartment_type, bases)
                if member is not None:
                    found.add(member if value.get("type") in (None, compartment_type) else NOBODY)
        return found

    return references


@lru_cache(maxsize=8192)
def _member_id(text: str, compartment_type: str, bases: tuple[str, ...]) -> str | None:
    """The id of the member, if it is one; remembered, as the resources of one answer repeat it."""
    reference = parse_reference(text, bases)
    return reference.id if reference is not None and reference.resource_type == compartment_type else None
