"""Criteria and memberships accept any JSON. Malformed values do not match."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.matching.criterion import CompiledCriterion, UnsupportedCriterionError, compile_criterion
from gateway.fhir.resources.compartments import Membership, compile_membership
from gateway.fhir.search_parameters import SearchType, get_search_parameters
from gateway.scopes.resource_types import RESOURCE_TYPES
from tests.fhir.matching.criteria import BASES

VALUES = {
    SearchType.TOKEN: "a|b,c",
    SearchType.REFERENCE: "Patient/A,B,http://x.example/y",
    SearchType.DATE: "ne2020,gt2020-01-01T10:00:00Z",
    SearchType.STRING: "a,É",
    SearchType.URI: "urn:a",
    SearchType.NUMBER: "ne5,gt2",
    SearchType.QUANTITY: "ne5,5.4|http://unitsofmeasure.org|mg",
}


def compile_criteria() -> list[CompiledCriterion]:
    compiled = []
    for resource_type in sorted(RESOURCE_TYPES):
        for parameter in get_search_parameters(resource_type).values():
            value = VALUES.get(parameter.type, "")
            try:
                compiled.append(compile_criterion(resource_type, parameter.name, None, value, BASES))
            except UnsupportedCriterionError:
                bare = value.rpartition(",")[2]
                if parameter.type is SearchType.TOKEN:
                    compiled.append(compile_criterion(resource_type, parameter.name, None, bare, BASES))
    return compiled


CRITERIA = compile_criteria()
MEMBERSHIPS = [
    membership
    for compartment_type in ("Patient", "Practitioner", "Encounter", "Device", "RelatedPerson")
    for resource_type in sorted(RESOURCE_TYPES)
    if (membership := compile_membership(compartment_type, resource_type, bases=BASES)) is not None
]
# Member names of the expressions, so that the generated values are reached by them.
NAMES = st.sampled_from(["reference", "type", "identifier", "system", "code", "coding", "value"]) | st.sampled_from(
    ["start", "end", "event", "repeat", "boundsPeriod", "family", "given", "line", "city", "text", "meta", "tag"]
)
INNER = st.sampled_from(sorted({name for criterion in CRITERIA for name in criterion.elements}))
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        ["Patient/A", "2020-01-01", "9999-12-31", "0000", "a", "Patient/A\n", "\ud800", "2020-01-01T10:00:60Z"]
    )
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | INNER | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(CRITERIA), st.data())
def test_a_criterion_answers_whatever_the_members_hold(criterion: CompiledCriterion, data: st.DataObject) -> None:
    resource: dict[str, Any] = {name: data.draw(JSON) for name in sorted(criterion.elements)}
    assert criterion.matches(resource) in {True, False}


@given(st.sampled_from(MEMBERSHIPS), st.data())
def test_a_membership_answers_whatever_the_members_hold(membership: Membership, data: st.DataObject) -> None:
    resource: dict[str, Any] = {name: data.draw(JSON) for name in sorted(membership.elements)}
    assert all(isinstance(compartment_id, str) for compartment_id in membership.find_compartment_ids(resource))


@given(JSON)
def test_every_criterion_answers_on_the_same_odd_value(value: Any) -> None:
    for criterion in CRITERIA[::23]:
        assert criterion.matches(dict.fromkeys(criterion.elements, value)) in {True, False}
