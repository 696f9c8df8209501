"""Covers, intersection and the shortest form, by table and against a plain oracle over a tiny world."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.scopes.algebra import covers, intersect, intersect_scopes, normalise
from gateway.scopes.model import Constraint, Context, Letter, ResourceScope, Scope
from gateway.scopes.parse import parse_scope, parse_scopes
from gateway.scopes.sentence import sentence
from gateway.scopes.unparse import unparse

COVERS = {
    "a scope covers itself": ("patient/Observation.rs", "patient/Observation.rs", True),
    "a star covers a type": ("patient/*.rs", "patient/Observation.r", True),
    "a type does not cover the star": ("patient/Observation.rs", "patient/*.rs", False),
    "fewer letters do not cover more": ("patient/Observation.r", "patient/Observation.rs", False),
    "another context is another reach": ("user/*.rs", "patient/*.rs", False),
    "edge 57: v2 letters within a v1 word": ("patient/Observation.read", "patient/Observation.rs", True),
    "the unconstrained covers the constrained": ("patient/Observation.rs", "patient/Observation.rs?code=a", True),
    "the constrained does not cover the unconstrained": (
        "patient/Observation.rs?code=a",
        "patient/Observation.rs",
        False,
    ),
    "more demands are narrower": ("patient/Observation.rs?code=a", "patient/Observation.rs?code=a&status=final", True),
    "fewer alternatives are narrower": ("patient/Observation.rs?code=a,b", "patient/Observation.rs?code=a", True),
    "other alternatives are not": ("patient/Observation.rs?code=a,b", "patient/Observation.rs?code=c", False),
    "a modifier is another parameter": ("patient/Observation.rs?code:in=a", "patient/Observation.rs?code=a", False),
    "_type covers a type it names": ("patient/*.rs?_type=Patient,Observation", "patient/Patient.r", True),
    "_type does not cover another": ("patient/*.rs?_type=Patient", "patient/Observation.r", False),
    "launch is only launch": ("launch", "launch/patient", False),
}


@pytest.mark.parametrize(("wide", "narrow", "expected"), COVERS.values(), ids=COVERS)
def test_covers(wide: str, narrow: str, expected: bool) -> None:
    assert covers(parse_scope(wide), parse_scope(narrow)) is expected


INTERSECTIONS = {
    "edge 100: both constraints, not either": (
        "patient/Observation.rs?code=1234-5",
        "patient/Observation.rs?category=lab",
        "patient/Observation.rs?code=1234-5&category=lab",
    ),
    "edge 80: the star shrinks to what is allowed": ("system/*.rs", "system/Patient.rs", "system/Patient.rs"),
    "what is allowed wider is granted as asked": (
        "patient/Observation.read",
        "patient/*.cruds",
        "patient/Observation.read",
    ),
    "SC-11: v1 narrowed to what v1 cannot say is said in v2": (
        "patient/Observation.read",
        "patient/Observation.r",
        "patient/Observation.r",
    ),
    "nothing in common": ("patient/Observation.r", "patient/Observation.s", ""),
    "several limits, each its part": (
        "patient/*.rs",
        "patient/Observation.rs patient/Condition.r",
        "patient/Observation.rs patient/Condition.r",
    ),
    "other scopes must be allowed by name": ("openid launch/patient", "openid", "openid"),
}


@pytest.mark.parametrize(("requested", "allowed", "expected"), INTERSECTIONS.values(), ids=INTERSECTIONS)
def test_intersections(requested: str, allowed: str, expected: str) -> None:
    assert unparse(intersect_scopes(parse_scopes(requested).scopes, parse_scopes(allowed).scopes)) == expected


SHORTEST = {
    "SC-14: letters come together": ("patient/Observation.r patient/Observation.s", "patient/Observation.rs"),
    "what another covers is dropped": ("patient/*.rs patient/Observation.r", "patient/*.rs"),
    "SC-16: the unconstrained wins": ("patient/Observation.rs?code=a patient/Observation.rs", "patient/Observation.rs"),
    "SC-15: letters do not borrow constraints": (
        "patient/Observation.r?code=a patient/Observation.s",
        "patient/Observation.r?code=a patient/Observation.s",
    ),
    "several cover one together": (
        "patient/*.r patient/*.s?code=a patient/Observation.rs?code=a",
        "patient/*.r patient/*.s?code=a",
    ),
}


@pytest.mark.parametrize(("text", "expected"), SHORTEST.values(), ids=SHORTEST)
def test_the_shortest_form(text: str, expected: str) -> None:
    assert unparse(normalise(parse_scopes(text).scopes)) == expected


# A tiny world: a thing is (context, type, letter, code, status).
WORLD = tuple(itertools.product(Context, ["Patient", "Observation"], [Letter.READ, Letter.SEARCH], "ab", "xy"))
Thing = tuple[Context, str, Letter, str, str]


def permitted(scopes: tuple[Scope, ...]) -> set[Thing]:
    """Everything in the world that some scope permits, one thing at a time."""
    return {thing for thing in WORLD for scope in scopes if isinstance(scope, ResourceScope) and _permits(scope, thing)}


def _permits(scope: ResourceScope, thing: Thing) -> bool:
    context, kind, letter, code, status = thing
    having = {"code": code, "status": status}
    return (
        scope.context is context
        and scope.resource_type in {"*", kind}
        and letter in scope.letters
        and all(having[pair.name] in pair.value.split(",") for pair in scope.constraints)
    )


scopes = st.builds(
    ResourceScope,
    st.sampled_from([Context.PATIENT, Context.USER]),
    st.sampled_from(["*", "Patient", "Observation"]),
    st.frozensets(st.sampled_from([Letter.READ, Letter.SEARCH]), min_size=1),
    st.lists(
        st.builds(Constraint, st.just("code"), st.none(), st.sampled_from(["a", "b", "a,b"]))
        | st.builds(Constraint, st.just("status"), st.none(), st.sampled_from(["x", "y", "x,y"])),
        max_size=2,
    ).map(tuple),
    st.booleans(),
)


@given(scopes, scopes)
def test_covers_never_claims_too_much(wide: ResourceScope, narrow: ResourceScope) -> None:
    if covers(wide, narrow):
        assert permitted((narrow,)) <= permitted((wide,))


@given(scopes, scopes, scopes)
def test_covers_is_reflexive_and_transitive(one: ResourceScope, two: ResourceScope, three: ResourceScope) -> None:
    assert covers(one, one)
    if covers(one, two) and covers(two, three):
        assert covers(one, three)


@given(scopes, scopes)
def test_an_intersection_is_exactly_what_both_permit(one: ResourceScope, other: ResourceScope) -> None:
    both = intersect(one, other)
    assert permitted((both,) if both else ()) == permitted((one,)) & permitted((other,))
    if both is not None:
        assert covers(one, both)
        assert covers(other, both)


@given(st.lists(scopes, max_size=5).map(tuple))
def test_the_shortest_form_keeps_the_meaning(several: tuple[ResourceScope, ...]) -> None:
    short = normalise(several)
    assert permitted(short) == permitted(several)
    assert len(short) <= len(several)
    assert normalise(short) == short


SENTENCES = {
    "patient/Observation.rs": "Read and search Observation records of the patient in context.",
    "user/*.cruds": "Add, read, change, delete and search all kinds of records that the signed-in user may see, "
    "also of kinds added later.",
    "patient/Observation.rs?category=laboratory": "Read and search Observation records of the patient in context "
    "whose category is laboratory.",
    "patient/Observation.r?category=a,b&status=final": "Read Observation records of the patient in context whose "
    "category is a or b and whose status is final.",
    "system/Patient.r": "Read Patient records that this client is allowed.",
    "launch": "Know what is open in the health record from which the app is started.",
    "launch/patient": "Know which patient is chosen when the app starts.",
    "openid": "Know who has signed in.",
    "offline_access": "Keep access while nobody is signed in, until it is revoked.",
    "__photo": "Use what this server calls __photo.",
}


@pytest.mark.parametrize(("text", "expected"), SENTENCES.items())
def test_every_scope_has_a_plain_sentence(text: str, expected: str) -> None:
    assert sentence(parse_scope(text)) == expected
