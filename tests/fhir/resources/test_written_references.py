"""The references in a written body, and what a server could make of each."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.reference import Reference
from gateway.fhir.request.content import encode_resource
from gateway.fhir.resources.written_references import (
    ReferenceForm,
    find_written_references,
    list_written_references,
    relativize_written_references,
)

BASES = ("https://gateway.example/fhir", "http://server.example/fhir")

FORMS: dict[str, tuple[Any, ReferenceForm]] = {
    "relative": ("Patient/1", ReferenceForm.LOCAL),
    "versioned": ("Patient/1/_history/2", ReferenceForm.LOCAL),
    "absolute at the gateway": (f"{BASES[0]}/Patient/1", ReferenceForm.LOCAL),
    "absolute at the server": (f"{BASES[1]}/Patient/1", ReferenceForm.LOCAL),
    "contained": ("#p", ReferenceForm.ELSEWHERE),
    "the container": ("#", ReferenceForm.ELSEWHERE),
    "a uuid": ("urn:uuid:11111111-1111-4111-8111-111111111111", ReferenceForm.ELSEWHERE),
    "on another server": ("https://other.example/fhir/Patient/1", ReferenceForm.ELSEWHERE),
    "criteria": ("Patient?identifier=1", ReferenceForm.CRITERIA),
    "criteria behind an id": ("Patient/1?identifier=1", ReferenceForm.CRITERIA),
    "criteria at the gateway": (f"{BASES[0]}/Patient?identifier=1", ReferenceForm.CRITERIA),
    "a slash at the end": ("Patient/1/", ReferenceForm.UNCLEAR),
    "a slash at the begin": ("/Patient/1", ReferenceForm.UNCLEAR),
    "white space": (" Patient/1", ReferenceForm.UNCLEAR),
    "another case": ("patient/1", ReferenceForm.UNCLEAR),
    "a fragment": ("Patient/1#x", ReferenceForm.UNCLEAR),
    "percent-encoding": ("Patient%2F1", ReferenceForm.UNCLEAR),
    "a way up": ("Observation/../Patient/1", ReferenceForm.UNCLEAR),
    "a type that R4 does not have": ("Patients/1", ReferenceForm.UNCLEAR),
    "an id alone": ("1", ReferenceForm.UNCLEAR),
    "nothing": ("", ReferenceForm.UNCLEAR),
    "a number": (1, ReferenceForm.UNCLEAR),
    "a list": (["Patient/1"], ReferenceForm.UNCLEAR),
    "null": (None, ReferenceForm.UNCLEAR),
}


@pytest.mark.parametrize(("text", "form"), FORMS.values(), ids=FORMS)
def test_the_form_of_a_reference_that_is(text: Any, form: ReferenceForm) -> None:
    (reference,) = find_written_references({"subject": {"reference": text}}, BASES)
    assert reference.form is form


def test_a_type_that_contradicts_the_reference_makes_it_unclear() -> None:
    (reference,) = find_written_references({"reference": "Patient/1", "type": "Group"}, BASES)
    assert reference.form is ReferenceForm.UNCLEAR


def test_references_are_found_at_any_depth() -> None:
    tree = {
        "contained": [{"resourceType": "Observation", "subject": {"reference": "Patient/1"}}],
        "extension": [{"url": "urn:x", "extension": [{"valueReference": {"reference": "Patient/2"}}]}],
        "content": [{"attachment": {"url": f"{BASES[0]}/Binary/3"}}, {"attachment": {"url": "https://x/Binary/4"}}],
        "data": {"reference": {"reference": "Patient/5"}},
    }
    found = {str(reference.target) for reference in find_written_references(tree, BASES)}
    assert found == {"Patient/1", "Patient/2", "Binary/3", "Patient/5"}


def test_own_addresses_become_relative_and_nothing_else_changes() -> None:
    tree = {
        "subject": {"reference": f"{BASES[0]}/Patient/1/_history/2", "display": f"{BASES[0]}/Patient/1"},
        "content": [{"attachment": {"url": f"{BASES[1]}/Binary/3"}}],
        "instantiatesUri": [f"{BASES[0]}/PlanDefinition/1"],
        "url": f"{BASES[0]}/Questionnaire/1",
        "note": [{"text": f"{BASES[0]}/Patient/1"}],
    }
    relative = relativize_written_references(tree, BASES)
    assert relative["subject"] == {"reference": str(Reference("Patient", "1", "2")), "display": f"{BASES[0]}/Patient/1"}
    assert relative["content"] == [{"attachment": {"url": "Binary/3"}}]
    for name in ("instantiatesUri", "url", "note"):
        assert relative[name] == tree[name]


# What a search in the bytes could take for a reference, or overlook.
_texts = st.sampled_from(
    [
        *(text for text, _ in FORMS.values() if isinstance(text, str)),
        "Binary/3",
        f"{BASES[0]}/Binary/3",
        "Practitioner/é",
        'Patient/1","type":"Group',
        '"reference":"Patient/2"',
        "{\\",
        "reference",
    ]
)
_names = st.sampled_from(["reference", "Reference", "type", "display", "url", "identifier", 'a"reference'])
_trees = st.recursive(
    st.one_of(_texts, st.none(), st.integers(0, 1)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_names, _trees, max_size=4))
def test_the_bytes_of_a_body_tell_the_same_references(tree: dict[str, Any]) -> None:
    resource = encode_resource(tree)
    listed = list_written_references(resource.text, resource.judged, BASES)
    assert set(listed) == set(find_written_references(resource.judged, BASES))


@given(st.lists(st.builds(dict, reference=_texts) | st.builds(dict, reference=_texts, type=_texts, display=_texts)))
def test_plain_references_are_told_by_the_bytes_alone(references: list[Any]) -> None:
    text = orjson.dumps({"performer": references})
    if b"Binary/" not in text and b"\\" not in text:
        # With an empty tree, whatever was found was found in the bytes.
        assert set(list_written_references(text, {}, BASES)) == set(find_written_references(references, BASES))


@pytest.mark.parametrize("name", ["Url", "URL", "uRL"])
def test_the_url_of_a_binary_by_a_name_in_other_letters_is_unclear(name: str) -> None:
    """A server that reads names in any case would take it for the url, by which the record vouches for the Binary."""
    tree = {"content": [{"attachment": {name: "Binary/b"}}]}
    text = orjson.dumps(tree)
    for found in (list(find_written_references(tree, BASES)), list_written_references(text, tree, BASES)):
        assert [reference.form for reference in found] == [ReferenceForm.UNCLEAR]
    harmless = {"extension": [{name: "urn:x"}]}
    assert list(find_written_references(harmless, BASES)) == []
