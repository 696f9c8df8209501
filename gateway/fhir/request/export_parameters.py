"""The parameters of a bulk export (Bulk Data Access 2.0, kick-off request), from a query or a Parameters resource."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.fhir.check_resource_type import check_resource_type
from gateway.fhir.form_encoding import Pairs, decode_pairs
from gateway.fhir.reference import Reference, parse_reference
from gateway.fhir.request.json_body import read_json_body
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.search.parse_query import parse_conditional_criteria
from gateway.fhir.search.query import Query, encode_pairs
from gateway.fhir.search.search_keys import ParameterDefinitions
from gateway.fhir.search.search_values import is_instant

NDJSON = "application/fhir+ndjson"
# A raw `+` in a query decodes to a space.
_NDJSON_FORMATS = frozenset({NDJSON, "application/fhir ndjson", "application/ndjson", "ndjson"})
# Values of `includeAssociatedData`. Others are a server's own and bring what cannot be foreseen here.
_ASSOCIATED_DATA = frozenset({"LatestProvenanceResources", "RelevantProvenanceResources"})
_ONCE = frozenset({"_outputFormat", "_since", "_until"})
_NAMES = _ONCE | {"_type", "_typeFilter", "_elements", "includeAssociatedData", "patient"}
_VALUES = ("valueString", "valueCode", "valueInstant", "valueUri", "valueReference")
_ELEMENT = re.compile(r"(?:([A-Za-z]{1,64})\.)?([A-Za-z][A-Za-z0-9]{0,63})")
MAX_PATIENTS = 10_000
# Of one request, without its patients. In bytes of the encoded query, which the link to its job has to hold.
MAX_PARAMETERS = 4096


@dataclass(frozen=True, slots=True)
class TypeFilter:
    """One `_typeFilter`: a search of a type, of which the export holds only the matches."""

    resource_type: str
    query: Query

    def encode(self) -> str:
        """The filter as the value of a parameter. Its own values are percent-encoded, the commas among them as well,
        since a comma ends a filter.
        """
        return f"{self.resource_type}?{self.query.encode().replace(',', '%2C')}"


@dataclass(frozen=True, slots=True)
class ExportParameters:
    """The parameters of an export. `elements` are written as the client did, with or without a type before a dot."""

    types: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    type_filters: tuple[TypeFilter, ...] = ()
    elements: tuple[str, ...] = ()
    associated_data: tuple[str, ...] = ()
    patients: tuple[Reference, ...] = ()

    def pairs(self) -> Iterator[tuple[str, str]]:
        """The names and values in a fixed order, not percent-encoded, without the patients."""
        if self.types:
            yield "_type", ",".join(self.types)
        if self.since is not None:
            yield "_since", self.since
        if self.until is not None:
            yield "_until", self.until
        for type_filter in self.type_filters:
            yield "_typeFilter", type_filter.encode()
        if self.elements:
            yield "_elements", ",".join(self.elements)
        if self.associated_data:
            yield "includeAssociatedData", ",".join(self.associated_data)

    def encode(self) -> str:
        """The query string, percent-encoded, without the patients."""
        return encode_pairs(self.pairs())


def parse_export_parameters(pairs: Pairs, definitions: ParameterDefinitions) -> ExportParameters:
    """Parse the parameters. Raises `RequestError`; an unknown parameter is refused, because a server may ignore it."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in _NAMES:
            raise RequestError(RequestProblem.PARAMETER_UNKNOWN, name)
        if name in _ONCE and name in values:
            raise RequestError(RequestProblem.PARAMETER_REPEATED, name)
        values.setdefault(name, []).append(value)
    if values.get("_outputFormat", [NDJSON])[0] not in _NDJSON_FORMATS:
        raise RequestError(RequestProblem.PARAMETER_INVALID, "_outputFormat", f"Use {NDJSON}.")
    parameters = ExportParameters(
        types=tuple(map(check_resource_type, _split_lists(values, "_type"))),
        since=_parse_instant(values, "_since"),
        until=_parse_instant(values, "_until"),
        type_filters=tuple(_parse_type_filters(values.get("_typeFilter", []), definitions)),
        elements=tuple(_parse_elements(values)),
        associated_data=tuple(_parse_associated_data(values)),
        patients=tuple(_parse_patients(values.get("patient", []))),
    )
    if len(parameters.encode()) > MAX_PARAMETERS:
        raise RequestError(
            RequestProblem.REQUEST_TOO_LARGE, "parameters", f"Together they may have {MAX_PARAMETERS} bytes."
        )
    return parameters


def read_parameters_resource(body: bytes, headers: Mapping[bytes, bytes]) -> Pairs:
    """The names and values in the Parameters resource of a POST. Raises `RequestError`."""
    resource = read_json_body(body, headers).value
    parameters = resource.get("parameter", [])
    if resource["resourceType"] != "Parameters" or not isinstance(parameters, list):
        raise RequestError(RequestProblem.BODY_MALFORMED, "body", "It is not a Parameters resource.")
    if len(parameters) > MAX_PATIENTS:
        raise RequestError(RequestProblem.REQUEST_TOO_LARGE, "parameters", f"At most {MAX_PATIENTS} are read.")
    return [_read_parameter(parameter) for parameter in parameters]


def _read_parameter(parameter: Any) -> tuple[str, str]:
    if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
        raise RequestError(RequestProblem.BODY_MALFORMED, "Parameters.parameter.name")
    name = parameter["name"]
    found = [member for member in parameter if member in _VALUES]
    if len(found) != 1 or len(parameter) != 2:
        raise RequestError(RequestProblem.PARAMETER_INVALID, name, "It needs one value, such as valueString.")
    value = parameter[found[0]]
    if found[0] == "valueReference":
        value = value.get("reference") if isinstance(value, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise RequestError(RequestProblem.PARAMETER_EMPTY, name)
    if not value.isprintable():
        raise RequestError(RequestProblem.PARAMETER_INVALID, name, "Control characters are refused.")
    return name, value


def _split_lists(values: Mapping[str, list[str]], name: str) -> tuple[str, ...]:
    """The parts of a repeated parameter whose values are lists, each once."""
    parts = tuple(dict.fromkeys(",".join(values.get(name, [])).split(","))) if name in values else ()
    if not all(parts):
        raise RequestError(RequestProblem.PARAMETER_INVALID, name, "A part of the list is empty.")
    return parts


def _parse_instant(values: Mapping[str, list[str]], name: str) -> str | None:
    value = values[name][0] if name in values else None
    if value is not None and not is_instant(value):
        raise RequestError(
            RequestProblem.PARAMETER_INVALID, name, "It is written as 2024-05-01T10:00:00Z; encode '+' as %2B."
        )
    return value


# A comma inside a filter is percent-encoded once more, so that one before a type and a question mark ends a filter.
_BETWEEN_FILTERS = re.compile(r",(?=[A-Za-z]{1,64}\?)")


def _parse_type_filters(values: list[str], definitions: ParameterDefinitions) -> Iterator[TypeFilter]:
    """The filters. Each holds search criteria of its type and nothing else (Bulk Data 2.0: no `_sort`, `_include`)."""
    for text in (part for value in values for part in _BETWEEN_FILTERS.split(value)):
        resource_type, mark, query = text.partition("?")
        if not mark or not query.isascii():
            raise RequestError(RequestProblem.PARAMETER_INVALID, "_typeFilter", "It is written as type?criteria.")
        check_resource_type(resource_type)
        pairs = decode_pairs(query.replace(" ", "%20").encode())
        yield TypeFilter(resource_type, parse_conditional_criteria(pairs, resource_type, definitions))


def _parse_elements(values: Mapping[str, list[str]]) -> Iterator[str]:
    for element in _split_lists(values, "_elements"):
        match = _ELEMENT.fullmatch(element)
        if match is None:
            raise RequestError(
                RequestProblem.PARAMETER_INVALID, "_elements", "It lists top-level elements: name or type.name."
            )
        if match[1] is not None:
            check_resource_type(match[1])
        yield element


def _parse_associated_data(values: Mapping[str, list[str]]) -> Iterator[str]:
    for value in _split_lists(values, "includeAssociatedData"):
        if value not in _ASSOCIATED_DATA:
            raise RequestError(
                RequestProblem.PARAMETER_INVALID,
                "includeAssociatedData",
                f"It is one of {', '.join(sorted(_ASSOCIATED_DATA))}.",
            )
        yield value


def _parse_patients(values: list[str]) -> Iterator[Reference]:
    for value in dict.fromkeys(values):
        reference = parse_reference(value)
        if reference is None or reference.resource_type != "Patient" or reference.version_id is not None:
            raise RequestError(RequestProblem.PARAMETER_INVALID, "patient", "It refers to Patient/[id].")
        yield reference
