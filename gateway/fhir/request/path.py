"""Parsing of the request path: it has exactly one meaning or is refused (enforcement.md 5, leak_22, edge case 119)."""

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from gateway.fhir.check_resource_type import check_resource_type
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.resources.compartments import COMPARTMENT_TYPES

MAX_PATH = 2048


class PathShape(Enum):
    """The shapes of a path in the R4 RESTful API (http.html 3.1.0.0)."""

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
    SYSTEM_EXPORT = auto()
    PATIENT_EXPORT = auto()
    GROUP_EXPORT = auto()
    EXPORT_STATUS = auto()
    EXPORT_FILE = auto()


@dataclass(frozen=True, slots=True)
class PathParts:
    """The parts of a path.

    `detail` is the version id, the operation name without its dollar sign, or the type (or `*`) that is searched in a
    compartment.
    """

    shape: PathShape
    resource_type: str = ""
    id: str = ""
    detail: str = ""


_TYPE = r"(?P<resource_type>[A-Za-z]{1,64})"
# The id grammar of R4 (datatypes.html#id) without `.` and `..`, which a path normaliser would remove.
_NO_DOT_SEGMENT = r"(?!\.\.?(?:/|\Z))"
_ID = rf"(?P<id>{_NO_DOT_SEGMENT}[A-Za-z0-9\-.]{{1,64}})"
_VERSION = rf"(?P<detail>{_NO_DOT_SEGMENT}[A-Za-z0-9\-.]{{1,64}})"
_OPERATION = r"\$(?P<detail>[A-Za-z][A-Za-z0-9\-._]{0,63})"
_SEARCHED_TYPE = r"(?P<detail>[A-Za-z]{1,64}|\*)"

# The most frequent first. `metadata` stands before TYPE, which would match it too.
_GRAMMAR = tuple(
    (shape, re.compile(pattern))
    for shape, pattern in (
        (PathShape.METADATA, "/metadata"),
        (PathShape.INSTANCE, f"/{_TYPE}/{_ID}"),
        (PathShape.TYPE, f"/{_TYPE}"),
        (PathShape.BASE, "/?"),
        (PathShape.TYPE_SEARCH, f"/{_TYPE}/_search"),
        (PathShape.COMPARTMENT, f"/{_TYPE}/{_ID}/{_SEARCHED_TYPE}"),
        (PathShape.COMPARTMENT_SEARCH, f"/{_TYPE}/{_ID}/{_SEARCHED_TYPE}/_search"),
        (PathShape.VERSION, f"/{_TYPE}/{_ID}/_history/{_VERSION}"),
        (PathShape.INSTANCE_HISTORY, f"/{_TYPE}/{_ID}/_history"),
        (PathShape.TYPE_HISTORY, f"/{_TYPE}/_history"),
        (PathShape.SYSTEM_HISTORY, "/_history"),
        (PathShape.SYSTEM_SEARCH, "/_search"),
        (PathShape.SYSTEM_EXPORT, r"/\$export"),
        (PathShape.PATIENT_EXPORT, r"/Patient/\$export"),
        (PathShape.GROUP_EXPORT, rf"/(?P<resource_type>Group)/{_ID}/\$export"),
        (PathShape.EXPORT_STATUS, r"/\$export-status"),
        (PathShape.EXPORT_FILE, r"/\$export-file"),
        (PathShape.INSTANCE_OPERATION, f"/{_TYPE}/{_ID}/{_OPERATION}"),
        (PathShape.TYPE_OPERATION, f"/{_TYPE}/{_OPERATION}"),
        (PathShape.SYSTEM_OPERATION, f"/{_OPERATION}"),
    )
)


# What asks about a request asks for its path, one after the other.
@lru_cache(64)
def parse_path(path: bytes) -> PathParts:
    """Parse the raw path below the FHIR base. It begins with `/` or is empty.

    Nothing is decoded, case-folded or normalised: a path that would need that is refused, because the FHIR server
    could do it differently. Raises `RequestError` (path_malformed, resource_type_unknown, request_too_large).
    """
    if len(path) > MAX_PATH:
        raise RequestError(RequestProblem.REQUEST_TOO_LARGE, "path", f"A path may have {MAX_PATH} bytes.")
    text = path.decode("latin-1")
    for shape, pattern in _GRAMMAR:
        match = pattern.fullmatch(text)
        if match is not None:
            return _check_types(PathParts(shape, **match.groupdict()))
    raise RequestError(RequestProblem.PATH_MALFORMED, text, _explain_malformed_path(text))


def _check_types(parts: PathParts) -> PathParts:
    if parts.resource_type:
        check_resource_type(parts.resource_type)
    if parts.shape in {PathShape.COMPARTMENT, PathShape.COMPARTMENT_SEARCH}:
        if parts.detail != "*":
            check_resource_type(parts.detail)
        if parts.resource_type not in COMPARTMENT_TYPES:
            raise RequestError(
                RequestProblem.PATH_MALFORMED,
                f"{parts.resource_type}/{parts.id}/{parts.detail}",
                f"{parts.resource_type} has no compartment.",
            )
    return parts


def _explain_malformed_path(path: str) -> str:
    if "%" in path:
        return "No character of a FHIR path needs percent-encoding."
    if "//" in path or path.endswith("/"):
        return "A slash must stand between two names."
    if ";" in path or "#" in path:
        return "A FHIR path has neither parameters nor a fragment."
    return ""
