"""The one parser that turns an HTTP request into an `Interaction`. It refuses everything that it does not know.

The paths and methods that it accepts are the table in `routes.py`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.fhir.form_encoding import Pairs, decode_pairs
from gateway.fhir.query_limits import MAX_FORM, MAX_QUERY
from gateway.fhir.request.interaction import Interaction
from gateway.fhir.request.media_types import accepts_json, is_form_content_type, is_json_format
from gateway.fhir.request.path import PathParts, PathShape, parse_path
from gateway.fhir.request.routes import ROUTES, RequestParts
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.search.search_keys import ParameterDefinitions
from gateway.fhir.search_parameters import SearchType

__all__ = ["RequestError", "parse_request"]

_METHOD_OVERRIDE_HEADERS = (b"x-http-method-override", b"x-method-override", b"x-http-method")
_FORM_SHAPES = frozenset({PathShape.SYSTEM_SEARCH, PathShape.TYPE_SEARCH, PathShape.COMPARTMENT_SEARCH})
# A kick-off begins work on the server, which no HEAD may do.
_SHAPES_WITHOUT_HEAD = frozenset({PathShape.SYSTEM_EXPORT, PathShape.PATIENT_EXPORT, PathShape.GROUP_EXPORT})
_WRITTEN_SHAPES = frozenset({PathShape.TYPE, PathShape.INSTANCE})
_NO_EXTRA_PARAMETERS: Mapping[str, Mapping[str, SearchType]] = MappingProxyType({})


def parse_request(
    method: str,
    path: bytes,
    query: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
    *,
    extra_parameters: Mapping[str, Mapping[str, SearchType]] = _NO_EXTRA_PARAMETERS,
    max_query: int = MAX_QUERY,
) -> Interaction:
    """Parse a request into an `Interaction`.

    `path` and `query` are the raw bytes; `path` is the part below the FHIR base, beginning with `/` or empty.
    `headers` have lower-case names, and repeated headers are joined by commas. `extra_parameters` are search
    parameters that the FHIR server has beyond R4, by type and name. `max_query` is in bytes. Raises `RequestError` and
    nothing else.
    """
    for name in _METHOD_OVERRIDE_HEADERS:
        if name in headers:
            raise RequestError(RequestProblem.METHOD_OVERRIDE_REFUSED, name.decode())
    parts = parse_path(path)
    # HEAD is routed as GET.
    routed_method = "GET" if method == "HEAD" and parts.shape not in _SHAPES_WITHOUT_HEAD else method
    routes = ROUTES[parts.shape]
    build_interaction = routes.get(routed_method)
    if build_interaction is None:
        raise RequestError(RequestProblem.METHOD_NOT_ALLOWED, method, allowed_methods=_list_methods(parts, routes))
    if body and routed_method in {"GET", "DELETE"}:
        raise RequestError(RequestProblem.QUERY_MALFORMED, "body", f"A {method} has no body.")
    if len(query) > max_query:
        raise RequestError(RequestProblem.REQUEST_TOO_LARGE, "query", f"A query may have {max_query} bytes.")
    parameters = _read_parameters(parts, query, headers, body)
    if parameters:
        parameters = _check_format(parameters, parts, headers)
    else:
        _check_accept(parts, headers)
    return build_interaction(RequestParts(parts, parameters, headers, ParameterDefinitions(extra_parameters), body))


def is_write(method: str, path: bytes) -> bool:
    """Whether the request changes one resource, so that its body is read after the decision.

    A path that is not FHIR's is none; `parse_request` says what is wrong with it.
    """
    if method not in {"POST", "PUT", "PATCH"}:
        return False
    try:
        return parse_path(path).shape in _WRITTEN_SHAPES
    except RequestError:
        return False


def _list_methods(parts: PathParts, routes: Mapping[str, object]) -> tuple[str, ...]:
    if parts.shape in _SHAPES_WITHOUT_HEAD:
        return tuple(routes)
    return tuple(name for method in routes for name in ((method, "HEAD") if method == "GET" else (method,)))


def _read_parameters(parts: PathParts, query: bytes, headers: Mapping[bytes, bytes], body: bytes) -> Pairs:
    """The parameters of the query string and, for `_search`, of the form: both count (leak_10, R4 3.1.0.9)."""
    if parts.shape not in _FORM_SHAPES:
        return decode_pairs(query)
    if len(body) > MAX_FORM:
        raise RequestError(RequestProblem.REQUEST_TOO_LARGE, "body", f"A form may have {MAX_FORM} bytes.")
    content_type = headers.get(b"content-type")
    if not is_form_content_type(content_type) if content_type is not None else bool(body):
        # A lenient server reads no form from another type and returns every resource (hapi.md B3).
        raise RequestError(
            RequestProblem.MEDIA_TYPE_UNSUPPORTED, "Content-Type", "Send application/x-www-form-urlencoded."
        )
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RequestError(
            RequestProblem.MEDIA_TYPE_UNSUPPORTED, "Content-Encoding", "Send the form without content encoding."
        )
    return decode_pairs(query + b"&" + body if query and body else query or body)


def _check_format(pairs: Pairs, parts: PathParts, headers: Mapping[bytes, bytes]) -> Pairs:
    """Check `_format` and `_pretty`, and return the other pairs. `_format` overrides Accept (R4 3.1.0.1.11).

    Raises `RequestError` (format_not_acceptable, parameter_repeated, parameter_invalid).
    """
    formats = {name: value for name, value in pairs if name in {"_format", "_pretty"}}
    other_pairs = [pair for pair in pairs if pair[0] not in formats] if formats else pairs
    if len(other_pairs) + len(formats) < len(pairs):
        raise RequestError(RequestProblem.PARAMETER_REPEATED, "_format" if "_format" in formats else "_pretty")
    if formats.get("_pretty", "true") not in {"true", "false"}:
        raise RequestError(RequestProblem.PARAMETER_INVALID, "_pretty", "It is true or false.")
    if "_format" not in formats:
        _check_accept(parts, headers)
    elif not is_json_format(formats["_format"]):
        raise RequestError(RequestProblem.FORMAT_NOT_ACCEPTABLE, "_format", "Use application/fhir+json.")
    return other_pairs


def _check_accept(parts: PathParts, headers: Mapping[bytes, bytes]) -> None:
    """Refuse an Accept header without FHIR JSON. A Binary is returned in its own media type (enforcement.md 4)."""
    is_binary = parts.resource_type == "Binary" and parts.shape in {PathShape.INSTANCE, PathShape.VERSION}
    if not is_binary and parts.shape is not PathShape.EXPORT_FILE and not accepts_json(headers.get(b"accept")):
        raise RequestError(RequestProblem.FORMAT_NOT_ACCEPTABLE, "Accept", "Accept application/fhir+json.")
