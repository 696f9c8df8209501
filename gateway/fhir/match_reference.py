"""Whether a Reference or a canonical satisfies a reference criterion (R4 Search, 'reference')."""

from collections.abc import Callable
from typing import Any

from gateway.fhir.match_value import Test
from gateway.fhir.reference import ID, Reference, parse_reference


def reference_test(value: str, targets: frozenset[str], bases: tuple[str, ...]) -> Test:
    """A resource of this server, by `Type/id`, bare id or under one of `bases`; or a canonical. Raises `ValueError`.

    What a Reference says by identifier or display alone proves nothing. `targets` are the types it may lead to, empty
    for any. A criterion without version matches every version.
    """
    wanted = parse_reference(value, bases)
    if wanted is not None:
        if wanted.version_id is not None:
            raise ValueError("a reference to one version is not judged here")
        named = _named_test(lambda one: one.id == wanted.id and one.resource_type == wanted.resource_type, bases)
        if ":" not in value:
            return named
        canonical = canonical_test(value)
        return lambda values: named(values) or canonical(values)
    if ID.fullmatch(value):
        return _named_test(lambda one: one.id == value and (not targets or one.resource_type in targets), bases)
    if ":" not in value:
        raise ValueError("a reference is an id, type/id or a URL")
    return canonical_test(value)


def _named_test(is_wanted: Callable[[Reference], bool], bases: tuple[str, ...]) -> Test:
    def matches(value: Any) -> bool:
        text = value.get("reference") if isinstance(value, dict) else None
        reference = parse_reference(text, bases) if isinstance(text, str) else None
        if reference is None or not is_wanted(reference):
            return False
        declared = value.get("type")
        return declared is None or bool(declared == reference.resource_type)

    return lambda values: any(map(matches, values))


def canonical_test(value: str) -> Test:
    """A canonical, exactly; one without version also means every version (R4 References 2.3.0.2)."""
    if "|" in value:
        return lambda values: value in values
    return lambda values: any(isinstance(one, str) and one.partition("|")[0] == value for one in values)
