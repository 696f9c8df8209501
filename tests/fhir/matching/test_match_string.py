"""String and URI criteria: R4 Search, 'string' and 'uri'."""

from typing import Any

import pytest

from tests.fhir.matching.criteria import matches

NAME = {"use": "official", "family": "Müller-Lüdenscheidt", "given": ["Éva", "Maria"], "prefix": ["Dr."]}
HOME = {"use": "home", "type": "physical", "line": ["Hauptstraße 1"], "city": "Graz", "postalCode": "8010"}


@pytest.mark.parametrize(
    ("criterion", "members", "expected"),
    [
        pytest.param("family=müller", {"name": [NAME]}, True, id="a beginning"),
        pytest.param("family=MULLER", {"name": [NAME]}, True, id="without case and accents"),
        pytest.param("family=lüdenscheidt", {"name": [NAME]}, False, id="not a middle"),
        pytest.param("given=eva", {"name": [NAME]}, True, id="an accent in the record"),
        pytest.param("given=maria", {"name": [NAME]}, True, id="one of several"),
        pytest.param("given=Evamaria", {"name": [NAME]}, False, id="not several joined"),
        pytest.param("name=maria", {"name": [NAME]}, True, id="any part of a name"),
        pytest.param("name=dr.", {"name": [NAME]}, True, id="a prefix of a name"),
        pytest.param("name=official", {"name": [NAME]}, False, id="not its use"),
        pytest.param("address=graz", {"address": [HOME]}, True, id="any part of an address"),
        pytest.param("address=hauptstrasse", {"address": [HOME]}, True, id="a sharp s"),
        pytest.param("address=home", {"address": [HOME]}, False, id="not its use either"),
        pytest.param("address=physical", {"address": [HOME]}, False, id="nor its type"),
        pytest.param("address-city=gra", {"address": [HOME]}, True, id="an element inside"),
        pytest.param("given=eva,anna", {"name": [NAME]}, True, id="commas are or"),
        pytest.param(r"given=eva\,anna", {"name": [NAME]}, False, id="an escaped comma is text"),
        pytest.param("family=müller", {}, False, id="nothing there"),
        pytest.param("family=müller", {"name": [{"family": ["Müller"]}]}, False, id="a list where one was meant"),
        pytest.param("family=müller", {"name": [{"family": {"x": "Müller"}}]}, False, id="an object for a text"),
        pytest.param("name=x", {"name": [{"secret": "x"}]}, False, id="a member no name has"),
        pytest.param(
            "given=maria", {"name": [{"given": [None, "Maria"]}]}, True, id="beside one with extensions alone"
        ),
        pytest.param("family=7", {"name": [{"family": 7}]}, False, id="a number"),
    ],
)
def test_a_string_matches_when(criterion: str, members: dict[str, Any], expected: bool) -> None:
    assert matches("Patient", criterion, **members) is expected


@pytest.mark.parametrize(
    ("criterion", "members", "expected"),
    [
        pytest.param("url=http://x.example/V", {"url": "http://x.example/V"}, True, id="the same"),
        pytest.param("url=http://x.example/v", {"url": "http://x.example/V"}, False, id="another case"),
        pytest.param("url=http://x.example/", {"url": "http://x.example/V"}, False, id="a beginning"),
        pytest.param("url=http://x.example/V", {"url": "http://x.example/V|1"}, False, id="a plain URI has no version"),
        pytest.param("_source=urn:a", {"meta": {"source": "urn:a"}}, True, id="a source"),
        pytest.param("_source=urn:a", {"meta": {"source": "urn:a#7"}}, False, id="a source with a fragment"),
        pytest.param("_profile=http://p", {"meta": {"profile": ["http://q", "http://p"]}}, True, id="one of several"),
        pytest.param("_profile=http://p", {"meta": {"profile": ["http://p|3"]}}, True, id="any version of a profile"),
        pytest.param("_profile=http://p|2", {"meta": {"profile": ["http://p|3"]}}, False, id="the version asked for"),
        pytest.param("_profile=http://p", {"meta": {"profile": [{"x": "http://p"}]}}, False, id="an object"),
        pytest.param("_profile=http://p", {"meta": ["http://p"]}, False, id="meta of an odd shape"),
    ],
)
def test_a_uri_matches_when_it_is(criterion: str, members: dict[str, Any], expected: bool) -> None:
    assert matches("ValueSet", criterion, **members) is expected
