"""The path of a request: one canonical meaning or an error (enforcement.md 5, leak_22, checklist edge case 119)."""

import re
from dataclasses import dataclass
from enum import Enum, auto

from gateway.fhir.problems import Problem, RequestError
from gateway.scopes.resource_types import RESOURCE_TYPES

MAX_PATH = 2048


class Shape(Enum):
    """The forms that a path of the R4 RESTful API can have (http.html 3.1.0.0)."""

    BASE = auto()
    METADATA = auto()
    SYSTEM_SEARCH = auto()
    SYSTEM_HISTORY = auto()
    SYSTEM_OPERATION = auto()
    TYPE = auto()
    TYPE_SEARCH = auto()
    TYPE_HISTORY = auto()
    TYPE_OPERATION = auto()
    INSTANCE = auto()
    INSTANCE_HISTORY = auto()
    INSTANCE_OPERATION = auto()
    VERSION = auto()
    COMPARTMENT = auto()
    COMPARTMENT_SEARCH = auto()


@dataclass(frozen=True, slots=True)
class Place:
    """What a path names. `detail` is the version id, the name of the operation without its dollar sign, or the type
    (or `*`) that is searched in a compartment."""

    shape: Shape
    resource_type: str = ""
    id: str = ""
    detail: str = ""


# The compartments that R4 defines (compartmentdefinition.html).
COMPARTMENT_TYPES = frozenset({"Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"})

_TYPE = r"(?P<resource_type>[A-Za-z]{1,64})"
# The id grammar of R4 (datatypes.html#id) less the two names that a path normaliser would take away.
_NOT_DOTS = r"(?!\.\.?(?:/|\Z))"
_ID = rf"(?P<id>{_NOT_DOTS}[A-Za-z0-9\-.]{{1,64}})"
_VERSION = rf"(?P<detail>{_NOT_DOTS}[A-Za-z0-9\-.]{{1,64}})"
_OPERATION = r"\$(?P<detail>[A-Za-z][A-Za-z0-9\-._]{0,63})"
_MEMBERS = r"(?P<detail>[A-Za-z]{1,64}|\*)"

# Ordered by how often they are asked; `metadata` stands before the types it would otherwise be one of.
_GRAMMAR = tuple(
    (shape, re.compile(pattern))
    for shape, pattern in (
        (Shape.METADATA, "/metadata"),
        (Shape.INSTANCE, f"/{_TYPE}/{_ID}"),
        (Shape.TYPE, f"/{_TYPE}"),
        (Shape.BASE, "/?"),
        (Shape.TYPE_SEARCH, f"/{_TYPE}/_search"),
        (Shape.COMPARTMENT, f"/{_TYPE}/{_ID}/{_MEMBERS}"),
        (Shape.COMPARTMENT_SEARCH, f"/{_TYPE}/{_ID}/{_MEMBERS}/_search"),
        (Shape.VERSION, f"/{_TYPE}/{_ID}/_history/{_VERSION}"),
        (Shape.INSTANCE_HISTORY, f"/{_TYPE}/{_ID}/_history"),
        (Shape.TYPE_HISTORY, f"/{_TYPE}/_history"),
        (Shape.SYSTEM_HISTORY, "/_history"),
        (Shape.SYSTEM_SEARCH, "/_search"),
        (Shape.INSTANCE_OPERATION, f"/{_TYPE}/{_ID}/{_OPERATION}"),
        (Shape.TYPE_OPERATION, f"/{_TYPE}/{_OPERATION}"),
        (Shape.SYSTEM_OPERATION, f"/{_OPERATION}"),
    )
)

_BY_LOWER_CASE = {name.lower(): name for name in RESOURCE_TYPES}


def parse_path(path: bytes) -> Place:
    """What the raw path below the FHIR base names; it begins with `/` or is empty.

    Nothing is decoded, folded or cleaned: a path that would need it is refused, because the next reader might clean
    it differently. Raises `RequestError` (path_malformed, resource_type_unknown, request_too_large).
    """
    if len(path) > MAX_PATH:
        raise RequestError(Problem.REQUEST_TOO_LARGE, "path", f"A path may have {MAX_PATH} bytes.")
    text = path.decode("latin-1")
    for shape, pattern in _GRAMMAR:
        match = pattern.fullmatch(text)
        if match is not None:
            return _checked(Place(shape, **match.groupdict()))
    raise RequestError(Problem.PATH_MALFORMED, text, _hint(text))


def known_type(name: str) -> str:
    """`name`, if R4 has that resource type, written so. Raises `RequestError` (resource_type_unknown)."""
    if name not in RESOURCE_TYPES:
        meant = _BY_LOWER_CASE.get(name.lower())
        raise RequestError(Problem.RESOURCE_TYPE_UNKNOWN, name, f"Did you mean {meant}?" if meant else "")
    return name


def _checked(place: Place) -> Place:
    if place.resource_type:
        known_type(place.resource_type)
    if place.shape in {Shape.COMPARTMENT, Shape.COMPARTMENT_SEARCH}:
        if place.detail != "*":
            known_type(place.detail)
        if place.resource_type not in COMPARTMENT_TYPES:
            raise RequestError(
                Problem.PATH_MALFORMED,
                f"{place.resource_type}/{place.id}/{place.detail}",
                f"{place.resource_type} has no compartment.",
            )
    return place


def _hint(path: str) -> str:
    if "%" in path:
        return "No character of a FHIR path needs percent-encoding."
    if "//" in path or path.endswith("/"):
        return "A slash must stand between two names."
    if ";" in path or "#" in path:
        return "A FHIR path has neither parameters nor a fragment."
    return ""
