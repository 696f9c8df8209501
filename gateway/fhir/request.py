"""The one parser that turns an HTTP request into an `Interaction`; what it does not know is refused.

Read `_ROUTES` first: the R4 RESTful API as a table of path shapes and methods (http.html 3.1.0.0).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.fhir.form import Pairs, decode_pairs
from gateway.fhir.interaction import (
    ALL_TYPES,
    BundlePost,
    Capabilities,
    CompartmentSearch,
    Conditions,
    InstanceHistory,
    Interaction,
    Operation,
    OperationLevel,
    Page,
    Read,
    SystemHistory,
    SystemSearch,
    TypeHistory,
    TypeSearch,
    VRead,
    Write,
    WriteKind,
)
from gateway.fhir.media_types import admits_json, is_form, means_json
from gateway.fhir.path import Place, Shape, parse_path
from gateway.fhir.problems import Problem, RequestError
from gateway.fhir.query import Query
from gateway.fhir.search_keys import Vocabulary
from gateway.fhir.search_parameters import SearchType
from gateway.fhir.search_query import (
    HISTORY,
    READ,
    SEARCH,
    SEARCH_OF_TYPES,
    SYSTEM_HISTORY,
    read_criteria,
    read_result_parameters,
    read_search,
)

__all__ = ["MAX_FORM", "MAX_QUERY", "RequestError", "parse_request"]

MAX_QUERY = 16 * 1024
MAX_FORM = 64 * 1024

_OVERRIDES = (b"x-http-method-override", b"x-method-override", b"x-http-method")
_SEALED = re.compile(r"[A-Za-z0-9\-._~=]+")
_SEARCH_SHAPES = frozenset({Shape.SYSTEM_SEARCH, Shape.TYPE_SEARCH, Shape.COMPARTMENT_SEARCH})
_NO_QUERY = Query()
_NO_CONDITIONS = Conditions()
_NO_EXTRAS: Mapping[str, Mapping[str, SearchType]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request whose path is known and whose parameters are decoded."""

    place: Place
    pairs: Pairs
    headers: Mapping[bytes, bytes]
    vocabulary: Vocabulary


def parse_request(
    method: str,
    path: bytes,
    query: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
    *,
    extra_parameters: Mapping[str, Mapping[str, SearchType]] = _NO_EXTRAS,
) -> Interaction:
    """What the request asks.

    `path` and `query` are the raw bytes, the path below the FHIR base and beginning with `/` (or empty). `headers`
    have lower-case names; repeated ones are joined by commas. `extra_parameters` are search parameters of the
    upstream beyond R4, by type and name. Raises `RequestError` and nothing else.
    """
    for name in _OVERRIDES:
        if name in headers:
            raise RequestError(Problem.METHOD_OVERRIDE_REFUSED, name.decode())
    place = parse_path(path)
    verb = "GET" if method == "HEAD" else method
    routes = _ROUTES[place.shape]
    route = routes.get(verb)
    if route is None:
        raise RequestError(Problem.METHOD_NOT_ALLOWED, method, allow=_allowed(routes))
    if body and verb in {"GET", "DELETE"}:
        raise RequestError(Problem.QUERY_MALFORMED, "body", f"A {method} has no body.")
    pairs = _parameters(place, query, headers, body)
    pairs = _settle_format(pairs, place, headers) if pairs else _settle_accept(pairs, place, headers)
    return route(_Asked(place, pairs, headers, Vocabulary(extra_parameters)))


def _allowed(routes: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(name for verb in routes for name in ((verb, "HEAD") if verb == "GET" else (verb,)))


def _parameters(place: Place, query: bytes, headers: Mapping[bytes, bytes], body: bytes) -> Pairs:
    """The parameters of the query string and, for `_search`, of the form: both count (leak_10, R4 3.1.0.9)."""
    if len(query) > MAX_QUERY:
        raise RequestError(Problem.REQUEST_TOO_LARGE, "query", f"A query may have {MAX_QUERY} bytes.")
    if place.shape not in _SEARCH_SHAPES:
        return decode_pairs(query)
    if len(body) > MAX_FORM:
        raise RequestError(Problem.REQUEST_TOO_LARGE, "body", f"A form may have {MAX_FORM} bytes.")
    content_type = headers.get(b"content-type")
    if not is_form(content_type) if content_type is not None else bool(body):
        # A lenient server reads no form from another type and answers with every row (hapi.md B3).
        raise RequestError(Problem.MEDIA_TYPE_UNSUPPORTED, "Content-Type", "Send application/x-www-form-urlencoded.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise RequestError(Problem.MEDIA_TYPE_UNSUPPORTED, "Content-Encoding", "Send the form as it is.")
    return decode_pairs(query + b"&" + body if query and body else query or body)


def _settle_format(pairs: Pairs, place: Place, headers: Mapping[bytes, bytes]) -> Pairs:
    """The pairs without `_format` and `_pretty`, which are answered here; `_format` wins over Accept (R4 3.1.0.1.11).

    Raises `RequestError` (format_not_acceptable, parameter_repeated, parameter_invalid).
    """
    settled = {name: value for name, value in pairs if name in {"_format", "_pretty"}}
    rest = [pair for pair in pairs if pair[0] not in settled] if settled else pairs
    if len(rest) + len(settled) < len(pairs):
        raise RequestError(Problem.PARAMETER_REPEATED, "_format" if "_format" in settled else "_pretty")
    if settled.get("_pretty", "true") not in {"true", "false"}:
        raise RequestError(Problem.PARAMETER_INVALID, "_pretty", "It is true or false.")
    if "_format" not in settled:
        return _settle_accept(rest, place, headers)
    if not means_json(settled["_format"]):
        raise RequestError(Problem.FORMAT_NOT_ACCEPTABLE, "_format", "Ask for application/fhir+json.")
    return rest


def _settle_accept(pairs: Pairs, place: Place, headers: Mapping[bytes, bytes]) -> Pairs:
    """A Binary leaves as what it holds, so a read of one may ask for anything (enforcement.md 4)."""
    binary = place.resource_type == "Binary" and place.shape in {Shape.INSTANCE, Shape.VERSION}
    if not binary and not admits_json(headers.get(b"accept")):
        raise RequestError(Problem.FORMAT_NOT_ACCEPTABLE, "Accept", "Ask for application/fhir+json.")
    return pairs


def _result_query(asked: _Asked, allowed: frozenset[str]) -> Query:
    return read_result_parameters(asked.pairs, allowed) if asked.pairs else _NO_QUERY


def _search_query(asked: _Asked, allowed: frozenset[str], resource_type: str | None) -> Query:
    return read_search(asked.pairs, allowed, resource_type, asked.vocabulary) if asked.pairs else _NO_QUERY


def _without_query(asked: _Asked) -> None:
    if asked.pairs:
        raise RequestError(Problem.PARAMETER_UNKNOWN, asked.pairs[0][0])


def _read(asked: _Asked) -> Interaction:
    place = asked.place
    return Read(place.resource_type, place.id, _result_query(asked, READ), _conditions(asked.headers))


def _conditions(headers: Mapping[bytes, bytes]) -> Conditions:
    if b"if-none-match" not in headers and b"if-modified-since" not in headers:
        return _NO_CONDITIONS
    return Conditions(_header(headers, b"if-none-match"), _header(headers, b"if-modified-since"))


def _header(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _vread(asked: _Asked) -> Interaction:
    place = asked.place
    return VRead(place.resource_type, place.id, place.detail, _result_query(asked, READ))


def _instance_history(asked: _Asked) -> Interaction:
    return InstanceHistory(asked.place.resource_type, asked.place.id, _result_query(asked, HISTORY))


def _type_history(asked: _Asked) -> Interaction:
    return TypeHistory(asked.place.resource_type, _result_query(asked, HISTORY))


def _system_history(asked: _Asked) -> Interaction:
    return SystemHistory(_result_query(asked, SYSTEM_HISTORY))


def _type_search(asked: _Asked) -> Interaction:
    resource_type = asked.place.resource_type
    return TypeSearch(resource_type, _search_query(asked, SEARCH, resource_type))


def _compartment_search(asked: _Asked) -> Interaction:
    place = asked.place
    if place.detail == ALL_TYPES:
        query = _search_query(asked, SEARCH_OF_TYPES, None)
    else:
        query = _search_query(asked, SEARCH, place.detail)
    return CompartmentSearch(place.resource_type, place.id, place.detail, query)


def _system_search(asked: _Asked) -> Interaction:
    return SystemSearch(_search_query(asked, SEARCH_OF_TYPES, None))


def _page_or_system_search(asked: _Asked) -> Interaction:
    """`_page` is ours, stands alone and carries everything (leak_07)."""
    pages = [value for name, value in asked.pairs if name == "_page"]
    if not pages:
        return _system_search(asked)
    if len(asked.pairs) > 1:
        raise RequestError(Problem.PARAMETER_UNKNOWN, "_page", "A paging link takes no other parameter.")
    if not _SEALED.fullmatch(pages[0]):
        raise RequestError(Problem.PARAMETER_INVALID, "_page")
    return Page(pages[0])


def _capabilities(asked: _Asked) -> Interaction:
    """`mode=full` is the default (R4 http.html 3.1.0.12); the others ask for another resource."""
    if asked.pairs not in ([], [("mode", "full")]):
        name = asked.pairs[0][0]
        raise RequestError(Problem.PARAMETER_INVALID if name == "mode" else Problem.PARAMETER_UNKNOWN, name)
    return Capabilities()


def _create(asked: _Asked) -> Interaction:
    _without_query(asked)
    resource_type, condition = asked.place.resource_type, None
    if_none_exist = asked.headers.get(b"if-none-exist")
    if if_none_exist is not None:
        condition = read_criteria(decode_pairs(if_none_exist), resource_type, asked.vocabulary)
    return Write(WriteKind.CREATE, resource_type, None, condition)


def _write(kind: WriteKind) -> Callable[[_Asked], Interaction]:
    def by_id(asked: _Asked) -> Interaction:
        _without_query(asked)
        return Write(kind, asked.place.resource_type, asked.place.id)

    return by_id


def _conditional_write(kind: WriteKind) -> Callable[[_Asked], Interaction]:
    def by_criteria(asked: _Asked) -> Interaction:
        resource_type = asked.place.resource_type
        return Write(kind, resource_type, None, read_criteria(asked.pairs, resource_type, asked.vocabulary))

    return by_criteria


def _bundle(asked: _Asked) -> Interaction:
    _without_query(asked)
    return BundlePost()


def _operation(level: OperationLevel) -> Callable[[_Asked], Interaction]:
    def called(asked: _Asked) -> Interaction:
        place = asked.place
        return Operation(level, place.detail, place.resource_type or None, place.id or None, tuple(asked.pairs))

    return called


def _called(level: OperationLevel) -> dict[str, Callable[[_Asked], Interaction]]:
    operation = _operation(level)
    return {"GET": operation, "POST": operation}


_ROUTES: Mapping[Shape, Mapping[str, Callable[[_Asked], Interaction]]] = {
    Shape.BASE: {"GET": _page_or_system_search, "POST": _bundle},
    Shape.METADATA: {"GET": _capabilities},
    Shape.SYSTEM_SEARCH: {"POST": _system_search},
    Shape.SYSTEM_HISTORY: {"GET": _system_history},
    Shape.SYSTEM_OPERATION: _called(OperationLevel.SYSTEM),
    Shape.TYPE: {
        "GET": _type_search,
        "POST": _create,
        "PUT": _conditional_write(WriteKind.UPDATE),
        "PATCH": _conditional_write(WriteKind.PATCH),
        "DELETE": _conditional_write(WriteKind.DELETE),
    },
    Shape.TYPE_SEARCH: {"POST": _type_search},
    Shape.TYPE_HISTORY: {"GET": _type_history},
    Shape.TYPE_OPERATION: _called(OperationLevel.TYPE),
    Shape.INSTANCE: {
        "GET": _read,
        "PUT": _write(WriteKind.UPDATE),
        "PATCH": _write(WriteKind.PATCH),
        "DELETE": _write(WriteKind.DELETE),
    },
    Shape.INSTANCE_HISTORY: {"GET": _instance_history},
    Shape.INSTANCE_OPERATION: _called(OperationLevel.INSTANCE),
    Shape.VERSION: {"GET": _vread},
    Shape.COMPARTMENT: {"GET": _compartment_search},
    Shape.COMPARTMENT_SEARCH: {"POST": _compartment_search},
}
