"""The R4 RESTful API as a table: path shape and HTTP method to the function that builds the `Interaction`.

Source: FHIR R4 http.html 3.1.0.0. Everything that is not in `ROUTES` is refused.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.fhir.form_encoding import Pairs, decode_pairs
from gateway.fhir.request.bundle_body import parse_bundle
from gateway.fhir.request.export_request import build_export_kickoff, read_sealed_parameter
from gateway.fhir.request.interaction import (
    ALL_TYPES,
    Capabilities,
    CompartmentSearch,
    ConditionalHeaders,
    ExportCancel,
    ExportFile,
    ExportLevel,
    ExportStatus,
    InstanceHistory,
    Interaction,
    Operation,
    OperationLevel,
    PagingLink,
    Read,
    SystemHistory,
    SystemSearch,
    TypeHistory,
    TypeSearch,
    VRead,
    WriteKind,
)
from gateway.fhir.request.json_body import read_json_body
from gateway.fhir.request.operation_body import read_operation_arguments
from gateway.fhir.request.path import PathParts, PathShape
from gateway.fhir.request.write_headers import read_write
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.search.parse_query import (
    HISTORY_PARAMETERS,
    READ_PARAMETERS,
    SYSTEM_HISTORY_PARAMETERS,
    SYSTEM_SEARCH_PARAMETERS,
    TYPE_SEARCH_PARAMETERS,
    parse_conditional_criteria,
    parse_result_parameters,
    parse_search,
)
from gateway.fhir.search.query import Query
from gateway.fhir.search.search_keys import ParameterDefinitions

_SEALED_PAGE = re.compile(r"[A-Za-z0-9\-._~=]+")
_NO_QUERY = Query()
_NO_CONDITIONAL_HEADERS = ConditionalHeaders()


@dataclass(frozen=True, slots=True)
class RequestParts:
    """A request whose path is parsed and whose parameters are decoded. `body` is not read yet."""

    path: PathParts
    parameters: Pairs
    headers: Mapping[bytes, bytes]
    definitions: ParameterDefinitions
    body: bytes = b""


_Builder = Callable[[RequestParts], Interaction]


def _parse_result_query(request: RequestParts, allowed: frozenset[str]) -> Query:
    return parse_result_parameters(request.parameters, allowed) if request.parameters else _NO_QUERY


def _parse_search_query(request: RequestParts, allowed: frozenset[str], resource_type: str | None) -> Query:
    if not request.parameters:
        return _NO_QUERY
    return parse_search(request.parameters, allowed, resource_type, request.definitions)


def _refuse_parameters(request: RequestParts) -> None:
    if request.parameters:
        raise RequestError(RequestProblem.PARAMETER_UNKNOWN, request.parameters[0][0])


def _build_read(request: RequestParts) -> Interaction:
    path = request.path
    query = _parse_result_query(request, READ_PARAMETERS)
    return Read(path.resource_type, path.id, query, _read_conditional_headers(request.headers))


def _read_conditional_headers(headers: Mapping[bytes, bytes]) -> ConditionalHeaders:
    if b"if-none-match" not in headers and b"if-modified-since" not in headers:
        return _NO_CONDITIONAL_HEADERS
    return ConditionalHeaders(_read_header(headers, b"if-none-match"), _read_header(headers, b"if-modified-since"))


def _read_header(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _build_vread(request: RequestParts) -> Interaction:
    path = request.path
    return VRead(path.resource_type, path.id, path.detail, _parse_result_query(request, READ_PARAMETERS))


def _build_instance_history(request: RequestParts) -> Interaction:
    path = request.path
    return InstanceHistory(path.resource_type, path.id, _parse_result_query(request, HISTORY_PARAMETERS))


def _build_type_history(request: RequestParts) -> Interaction:
    return TypeHistory(request.path.resource_type, _parse_result_query(request, HISTORY_PARAMETERS))


def _build_system_history(request: RequestParts) -> Interaction:
    return SystemHistory(_parse_result_query(request, SYSTEM_HISTORY_PARAMETERS))


def _build_type_search(request: RequestParts) -> Interaction:
    resource_type = request.path.resource_type
    return TypeSearch(resource_type, _parse_search_query(request, TYPE_SEARCH_PARAMETERS, resource_type))


def _build_compartment_search(request: RequestParts) -> Interaction:
    path = request.path
    if path.detail == ALL_TYPES:
        query = _parse_search_query(request, SYSTEM_SEARCH_PARAMETERS, None)
    else:
        query = _parse_search_query(request, TYPE_SEARCH_PARAMETERS, path.detail)
    return CompartmentSearch(path.resource_type, path.id, path.detail, query)


def _build_system_search(request: RequestParts) -> Interaction:
    return SystemSearch(_parse_search_query(request, SYSTEM_SEARCH_PARAMETERS, None))


def _build_paging_link_or_system_search(request: RequestParts) -> Interaction:
    """`_page` is a parameter of this gateway. It holds the whole state, so it takes no other beside it (leak_07)."""
    pages = [value for name, value in request.parameters if name == "_page"]
    if not pages:
        return _build_system_search(request)
    if len(request.parameters) > 1:
        raise RequestError(RequestProblem.PARAMETER_UNKNOWN, "_page", "A paging link takes no other parameter.")
    if not _SEALED_PAGE.fullmatch(pages[0]):
        raise RequestError(RequestProblem.PARAMETER_INVALID, "_page")
    return PagingLink(pages[0])


def _build_capabilities(request: RequestParts) -> Interaction:
    """`mode=full` is the default (R4 http.html 3.1.0.12); the other modes return another resource."""
    if request.parameters not in ([], [("mode", "full")]):
        name = request.parameters[0][0]
        raise RequestError(
            RequestProblem.PARAMETER_INVALID if name == "mode" else RequestProblem.PARAMETER_UNKNOWN, name
        )
    return Capabilities()


def _build_create(request: RequestParts) -> Interaction:
    _refuse_parameters(request)
    resource_type, criteria = request.path.resource_type, None
    if_none_exist = request.headers.get(b"if-none-exist")
    if if_none_exist is not None:
        criteria = parse_conditional_criteria(decode_pairs(if_none_exist), resource_type, request.definitions)
    return read_write(WriteKind.CREATE, resource_type, None, criteria, request.headers)


def _write_builder(kind: WriteKind) -> _Builder:
    def build_write(request: RequestParts) -> Interaction:
        _refuse_parameters(request)
        return read_write(kind, request.path.resource_type, request.path.id, None, request.headers)

    return build_write


def _conditional_write_builder(kind: WriteKind) -> _Builder:
    def build_conditional_write(request: RequestParts) -> Interaction:
        resource_type = request.path.resource_type
        criteria = parse_conditional_criteria(request.parameters, resource_type, request.definitions)
        return read_write(kind, resource_type, None, criteria, request.headers)

    return build_conditional_write


def _build_batch_or_transaction(request: RequestParts) -> Interaction:
    _refuse_parameters(request)
    return parse_bundle(request.body, request.headers)


def _operation_routes(level: OperationLevel) -> dict[str, _Builder]:
    def operation_builder(method: str) -> _Builder:
        def build_operation(request: RequestParts) -> Interaction:
            path, body = request.path, request.body
            arguments = read_operation_arguments(read_json_body(body, request.headers)) if body else ()
            resource_type, resource_id, parameters = path.resource_type or None, path.id or None, request.parameters
            return Operation(level, path.detail, resource_type, resource_id, tuple(parameters), method, arguments)

        return build_operation

    return {"GET": operation_builder("GET"), "POST": operation_builder("POST")}


def _export_routes(level: ExportLevel) -> dict[str, _Builder]:
    def build_kickoff(request: RequestParts) -> Interaction:
        group_id = request.path.id or None
        return build_export_kickoff(
            level, group_id, request.parameters, request.body, request.headers, request.definitions
        )

    return {"GET": build_kickoff, "POST": build_kickoff}


def _build_export_status(request: RequestParts) -> Interaction:
    return ExportStatus(read_sealed_parameter(request.parameters, "_job"))


def _build_export_cancel(request: RequestParts) -> Interaction:
    return ExportCancel(read_sealed_parameter(request.parameters, "_job"))


def _build_export_file(request: RequestParts) -> Interaction:
    return ExportFile(read_sealed_parameter(request.parameters, "_file"))


ROUTES: Mapping[PathShape, Mapping[str, _Builder]] = {
    PathShape.BASE: {"GET": _build_paging_link_or_system_search, "POST": _build_batch_or_transaction},
    PathShape.METADATA: {"GET": _build_capabilities},
    PathShape.SYSTEM_SEARCH: {"POST": _build_system_search},
    PathShape.SYSTEM_HISTORY: {"GET": _build_system_history},
    PathShape.SYSTEM_OPERATION: _operation_routes(OperationLevel.SYSTEM),
    PathShape.TYPE: {
        "GET": _build_type_search,
        "POST": _build_create,
        "PUT": _conditional_write_builder(WriteKind.UPDATE),
        "PATCH": _conditional_write_builder(WriteKind.PATCH),
        "DELETE": _conditional_write_builder(WriteKind.DELETE),
    },
    PathShape.TYPE_SEARCH: {"POST": _build_type_search},
    PathShape.TYPE_HISTORY: {"GET": _build_type_history},
    PathShape.TYPE_OPERATION: _operation_routes(OperationLevel.TYPE),
    PathShape.INSTANCE: {
        "GET": _build_read,
        "PUT": _write_builder(WriteKind.UPDATE),
        "PATCH": _write_builder(WriteKind.PATCH),
        "DELETE": _write_builder(WriteKind.DELETE),
    },
    PathShape.INSTANCE_HISTORY: {"GET": _build_instance_history},
    PathShape.INSTANCE_OPERATION: _operation_routes(OperationLevel.INSTANCE),
    PathShape.VERSION: {"GET": _build_vread},
    PathShape.COMPARTMENT: {"GET": _build_compartment_search},
    PathShape.COMPARTMENT_SEARCH: {"POST": _build_compartment_search},
    PathShape.SYSTEM_EXPORT: _export_routes(ExportLevel.SYSTEM),
    PathShape.PATIENT_EXPORT: _export_routes(ExportLevel.PATIENT),
    PathShape.GROUP_EXPORT: _export_routes(ExportLevel.GROUP),
    PathShape.EXPORT_STATUS: {"GET": _build_export_status, "DELETE": _build_export_cancel},
    PathShape.EXPORT_FILE: {"GET": _build_export_file},
}
