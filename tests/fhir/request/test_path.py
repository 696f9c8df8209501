"""A path has one canonical meaning or none (enforcement.md 5, leak_22, edge case 119)."""

import codecs
from pathlib import Path

import pytest

from gateway.fhir.path import MAX_PATH, Place, Shape, parse_path
from gateway.fhir.problems import Problem, RequestError
from gateway.fhir.request import parse_request

_PROBLEMS = {"P": Problem.PATH_MALFORMED, "T": Problem.RESOURCE_TYPE_UNKNOWN}


def _tricks() -> list[tuple[bytes, Problem]]:
    lines = Path(__file__).with_name("path_tricks.txt").read_text(encoding="ascii").split("\n")
    kept = [line for line in lines if line and not line.startswith("#")]
    return [(codecs.escape_decode(line[2:].encode())[0], _PROBLEMS[line[0]]) for line in kept]


_TRICKS = _tricks()


def test_the_corpus_of_path_tricks_has_not_shrunk() -> None:
    assert len(_TRICKS) >= 130
    assert len({path for path, _ in _TRICKS}) == len(_TRICKS)


@pytest.mark.parametrize(("path", "problem"), _TRICKS, ids=[repr(path) for path, _ in _TRICKS])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_path_trick_is_refused_whatever_the_method(path: bytes, problem: Problem, method: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request(method, path, b"", {}, b"")
    assert caught.value.problem is problem
    assert caught.value.offender.isprintable()


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", Place(Shape.BASE)),
        ("/", Place(Shape.BASE)),
        ("/metadata", Place(Shape.METADATA)),
        ("/_search", Place(Shape.SYSTEM_SEARCH)),
        ("/_history", Place(Shape.SYSTEM_HISTORY)),
        ("/$export-poll-status", Place(Shape.SYSTEM_OPERATION, detail="export-poll-status")),
        ("/Observation", Place(Shape.TYPE, "Observation")),
        ("/Observation/_search", Place(Shape.TYPE_SEARCH, "Observation")),
        ("/Observation/_history", Place(Shape.TYPE_HISTORY, "Observation")),
        ("/Observation/$lastn", Place(Shape.TYPE_OPERATION, "Observation", detail="lastn")),
        ("/Observation/1", Place(Shape.INSTANCE, "Observation", "1")),
        ("/Observation/a-B.9", Place(Shape.INSTANCE, "Observation", "a-B.9")),
        ("/Observation/...", Place(Shape.INSTANCE, "Observation", "...")),
        ("/Observation/.a", Place(Shape.INSTANCE, "Observation", ".a")),
        ("/Observation/" + "x" * 64, Place(Shape.INSTANCE, "Observation", "x" * 64)),
        ("/Observation/metadata", Place(Shape.INSTANCE, "Observation", "metadata")),
        ("/Observation/1/_history", Place(Shape.INSTANCE_HISTORY, "Observation", "1")),
        ("/Observation/1/_history/2", Place(Shape.VERSION, "Observation", "1", "2")),
        ("/Patient/A/$everything", Place(Shape.INSTANCE_OPERATION, "Patient", "A", "everything")),
        ("/Patient/A/Observation", Place(Shape.COMPARTMENT, "Patient", "A", "Observation")),
        ("/Patient/A/*", Place(Shape.COMPARTMENT, "Patient", "A", "*")),
        ("/Patient/A/Patient", Place(Shape.COMPARTMENT, "Patient", "A", "Patient")),
        ("/Encounter/e/Observation", Place(Shape.COMPARTMENT, "Encounter", "e", "Observation")),
        ("/Practitioner/p/*", Place(Shape.COMPARTMENT, "Practitioner", "p", "*")),
        ("/Device/d/Observation", Place(Shape.COMPARTMENT, "Device", "d", "Observation")),
        ("/RelatedPerson/r/Patient", Place(Shape.COMPARTMENT, "RelatedPerson", "r", "Patient")),
        ("/Patient/A/Observation/_search", Place(Shape.COMPARTMENT_SEARCH, "Patient", "A", "Observation")),
        ("/Patient/A/*/_search", Place(Shape.COMPARTMENT_SEARCH, "Patient", "A", "*")),
    ],
)
def test_every_path_of_the_r4_api_has_its_shape(path: str, place: Place) -> None:
    assert parse_path(path.encode()) == place


@pytest.mark.parametrize(
    ("path", "offender", "hint"),
    [
        ("/observation/1", "observation", "Did you mean Observation?"),
        ("/Bogus/1", "Bogus", ""),
        ("/Observation/%31", "/Observation/%31", "No character of a FHIR path needs percent-encoding."),
        ("/Observation/", "/Observation/", "A slash must stand between two names."),
        ("/Observation;x=1", "/Observation;x=1", "A FHIR path has neither parameters nor a fragment."),
        ("/Observation/1/Patient", "Observation/1/Patient", "Observation has no compartment."),
        ("/Observation/\n", "/Observation/?", ""),
        ("/" + "x_" * 200, ("/" + "x_" * 200)[:100], ""),
    ],
)
def test_a_refused_path_is_named_and_explained(path: str, offender: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_path(path.encode())
    assert (caught.value.offender, caught.value.hint) == (offender, hint)


def test_a_path_above_the_cap_is_too_large() -> None:
    with pytest.raises(RequestError) as caught:
        parse_path(b"/" + b"x" * MAX_PATH)
    assert caught.value.problem is Problem.REQUEST_TOO_LARGE
