"""Which resources a resource refers to by one of its reference parameters, as `_include` follows them (R4 Search)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.fhir.matching.fhirpath import compile_expression
from gateway.fhir.reference import parse_reference
from gateway.fhir.search_parameters import SearchParameter, SearchType, get_search_parameters

# The type and id of a resource, or its canonical URL.
Address = tuple[str, str] | str

# In the place of a parameter, or of a source type: all of them.
EVERY = "*"


@dataclass(frozen=True, slots=True)
class ReferenceReader:
    """Reads what a reference parameter of one resource type refers to, from the members of a resource in `elements`.

    `targets` are the types that the parameter can refer to; empty means any.
    """

    elements: frozenset[str]
    targets: frozenset[str]
    evaluate: Callable[[Mapping[str, Any]], list[Any]]

    def find_targets(self, resource: Mapping[str, Any], bases: Sequence[str]) -> Iterator[Address]:
        """The literal references, without their versions, and the canonicals. It never raises.

        A canonical is an absolute URL, returned as text without its `|version` (R4 references.html#canonical). It may
        be the address of a resource under one of `bases` as well.
        """
        for value in self.evaluate(resource):
            text = value.get("reference") if isinstance(value, dict) else value
            if not isinstance(text, str):
                continue
            if text is value:
                text = text.partition("|")[0]
                if ":" in text:
                    yield text
            reference = parse_reference(text, bases)
            if reference is not None:
                yield reference.resource_type, reference.id


@lru_cache(maxsize=2048)
def compile_reference_readers(resource_type: str, parameter: str) -> tuple[ReferenceReader, ...]:
    """The readers of a reference parameter, or of all those of the type if it is `EVERY`.

    Empty if R4 does not define the parameter for the type: nothing is known to be referred to by it.
    """
    definitions = get_search_parameters(resource_type)
    return tuple(
        _compile_reader(definition, resource_type)
        for name, definition in definitions.items()
        if parameter in (EVERY, name) and definition.type is SearchType.REFERENCE
    )


def _compile_reader(definition: SearchParameter, resource_type: str) -> ReferenceReader:
    compiled = compile_expression(definition.expression, resource_type)
    return ReferenceReader(compiled.elements, definition.targets, compiled.evaluate)
