"""A path has exactly one meaning or is refused (enforcement.md 5, leak_22, edge case 119)."""

import codecs
from pathlib import Path

import pytest

from gateway.fhir.request.parse_request import parse_request
from gateway.fhir.request.path import MAX_PATH, PathParts, PathShape, parse_path
from gateway.fhir.request_error import RequestError, RequestProblem

_PROBLEMS = {"P": RequestProblem.PATH_MALFORMED, "T": RequestProblem.RESOURCE_TYPE_UNKNOWN}


def _load_tricks() -> list[tuple[bytes, RequestProblem]]:
    lines = Path(__file__).with_name("path_tricks.txt").read_text(encoding="ascii").split("\n")
    tricks = [line for line in lines if line and not line.startswith("#")]
    return [(codecs.escape_decode(line[2:].encode())[0], _PROBLEMS[line[0]]) for line in tricks]


_TRICKS = _load_tricks()


def test_the_corpus_of_path_tricks_has_not_shrunk() -> None:
    assert len(_TRICKS) >= 130
    assert len({path for path, _ in _TRICKS}) == len(_TRICKS)


@pytest.mark.parametrize(("path", "problem"), _TRICKS, ids=[repr(path) for path, _ in _TRICKS])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_path_trick_is_refused_whatever_the_method(path: bytes, problem: RequestProblem, method: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request(method, path, b"", {}, b"")
    assert caught.value.problem is problem
    assert caught.value.offender.isprintable()


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", PathParts(PathShape.BASE)),
        ("/", PathParts(PathShape.BASE)),
        ("/metadata", PathParts(PathShape.METADATA)),
        ("/_search", PathParts(PathShape.SYSTEM_SEARCH)),
        ("/_history", PathParts(PathShape.SYSTEM_HISTORY)),
        ("/$export-poll-status", PathParts(PathShape.SYSTEM_OPERATION, detail="export-poll-status")),
        ("/Observation", PathParts(PathShape.TYPE, "Observation")),
        ("/Observation/_search", PathParts(PathShape.TYPE_SEARCH, "Observation")),
        ("/Observation/_history", PathParts(PathShape.TYPE_HISTORY, "Observation")),
        ("/Observation/$lastn", PathParts(PathShape.TYPE_OPERATION, "Observation", detail="lastn")),
        ("/Observation/1", PathParts(PathShape.INSTANCE, "Observation", "1")),
        ("/Observation/a-B.9", PathParts(PathShape.INSTANCE, "Observation", "a-B.9")),
        ("/Observation/...", PathParts(PathShape.INSTANCE, "Observation", "...")),
        ("/Observation/.a", PathParts(PathShape.INSTANCE, "Observation", ".a")),
        ("/Observation/" + "x" * 64, PathParts(PathShape.INSTANCE, "Observation", "x" * 64)),
        ("/Observation/metadata", PathParts(PathShape.INSTANCE, "Observation", "metadata")),
        ("/Observation/1/_history", PathParts(PathShape.INSTANCE_HISTORY, "Observation", "1")),
        ("/Observation/1/_history/2", PathParts(PathShape.VERSION, "Observation", "1", "2")),
        ("/Patient/A/$everything", PathParts(PathShape.INSTANCE_OPERATION, "Patient", "A", "everything")),
        ("/Patient/A/Observation", PathParts(PathShape.COMPARTMENT, "Patient", "A", "Observation")),
        ("/Patient/A/*", PathParts(PathShape.COMPARTMENT, "Patient", "A", "*")),
        ("/Patient/A/Patient", PathParts(PathShape.COMPARTMENT, "Patient", "A", "Patient")),
        ("/Encounter/e/Observation", PathParts(PathShape.COMPARTMENT, "Encounter", "e", "Observation")),
        ("/Practitioner/p/*", PathParts(PathShape.COMPARTMENT, "Practitioner", "p", "*")),
        ("/Device/d/Observation", PathParts(PathShape.COMPARTMENT, "Device", "d", "Observation")),
        ("/RelatedPerson/r/Patient", PathParts(PathShape.COMPARTMENT, "RelatedPerson", "r", "Patient")),
        ("/Patient/A/Observation/_search", PathParts(PathShape.COMPARTMENT_SEARCH, "Patient", "A", "Observation")),
        ("/Patient/A/*/_search", PathParts(PathShape.COMPARTMENT_SEARCH, "Patient", "A", "*")),
    ],
)
def test_every_path_of_the_r4_api_has_its_shape(path: str, place: PathParts) -> None:
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
    assert caught.value.problem is RequestProblem.REQUEST_TOO_LARGE
