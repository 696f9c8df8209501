"""Whether a Reference or a canonical matches a reference criterion (R4 Search, 'reference')."""

from collections.abc import Callable
from typing import Any

from gateway.fhir.matching.value_syntax import ValueTest
from gateway.fhir.reference import ID_PATTERN, Reference, parse_reference


def compile_reference_test(value: str, targets: frozenset[str], bases: tuple[str, ...]) -> ValueTest:
    """Compile `Type/id`, an id, a URL under one of `bases`, or a canonical. Raises `ValueError`.

    A Reference with only an identifier or display never matches. `targets` are the possible target types, empty for
    any. The criterion matches every version of the target.
    """
    criterion = parse_reference(value, bases)
    if criterion is not None:
        if criterion.version_id is not None:
            raise ValueError("a reference to one version is not evaluated here")
        matches_literal = _compile_literal_test(
            lambda target: target.id == criterion.id and target.resource_type == criterion.resource_type, bases
        )
        if ":" not in value:
            return matches_literal
        matches_canonical = compile_canonical_test(value)
        return lambda values: matches_literal(values) or matches_canonical(values)
    if ID_PATTERN.fullmatch(value):
        return _compile_literal_test(
            lambda target: target.id == value and (not targets or target.resource_type in targets), bases
        )
    if ":" not in value:
        raise ValueError("a reference is an id, type/id or a URL")
    return compile_canonical_test(value)


def _compile_literal_test(is_target: Callable[[Reference], bool], bases: tuple[str, ...]) -> ValueTest:
    def matches(value: Any) -> bool:
        text = value.get("reference") if isinstance(value, dict) else None
        reference = parse_reference(text, bases) if isinstance(text, str) else None
        if reference is None or not is_target(reference):
            return False
        declared_type = value.get("type")
        return declared_type is None or bool(declared_type == reference.resource_type)

    return lambda values: any(map(matches, values))


def compile_canonical_test(value: str) -> ValueTest:
    """Compile a canonical, compared exactly. Without a version it matches every version (R4 References 2.3.0.2)."""
    if "|" in value:
        return lambda values: value in values
    return lambda values: any(isinstance(stored, str) and stored.partition("|")[0] == value for stored in values)
