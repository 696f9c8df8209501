"""Requests that were made up, to compare configurations by where none were recorded: each client, each of its types."""

from collections.abc import Iterable, Iterator
from typing import assert_never

from gateway.commands.comparing.recorded_file import RecordedRequests
from gateway.fhir.request.interaction import OperationLevel
from gateway.policy.permission.operation_rule import OperationAddress
from gateway.policy.recording.recorded_request import RecordedRequest
from gateway.scopes.format_scopes import format_scopes
from gateway.scopes.model import ANY_TYPE, Context, ResourceScope, Scope
from gateway.scopes.parse_scopes import parse_scopes
from gateway.settings.model import Settings

_PATIENT, _USER, _RECORD = "id-1", "Practitioner/id-2", "id-3"
_ALL = parse_scopes(" ".join(f"{context}/*.cruds" for context in Context)).scopes
# Of an app that may be granted whatever its user may.
_OF_USERS = parse_scopes("patient/*.cruds user/*.cruds").scopes
_SAMPLE_TYPES = ("Patient", "Observation", "Practitioner", "Organization", "Binary")
_REQUESTS = (
    ("read", "GET", "/{type}/{id}", ""),
    ("history-instance", "GET", "/{type}/{id}/_history", ""),
    ("history-type", "GET", "/{type}/_history", ""),
    ("search-type", "GET", "/{type}", ""),
    ("search-type", "GET", "/{type}", "_id={id}"),
    ("search-compartment", "GET", "/Patient/{patient}/{type}", ""),
    ("create", "POST", "/{type}", ""),
    ("update", "PUT", "/{type}/{id}", ""),
    ("patch", "PATCH", "/{type}/{id}", ""),
    ("delete", "DELETE", "/{type}/{id}", ""),
)
_SYSTEM_REQUESTS = (
    ("search-system", "GET", "/", "_type=Patient"),
    ("history-system", "GET", "/_history", ""),
    ("export", "GET", "/$export", ""),
    ("export", "GET", "/Patient/$export", ""),
    ("export", "GET", "/Group/{id}/$export", ""),
)


def make_example_requests(old: Settings, new: Settings) -> RecordedRequests:
    """One request of each kind, for each client of either configuration, and for a token of each issuer."""
    operations = {**old.rules().operations, **new.rules().operations}
    addresses = list(operations)
    requests = [
        _make_request(issuer, client_id, scopes, *request)
        for (issuer, client_id, _), scopes in _list_holders((old, new)).items()
        for request in _list_requests(scopes, addresses)
    ]
    return RecordedRequests(tuple((request, 1) for request in requests))


def _list_holders(configurations: Iterable[Settings]) -> dict[tuple[str, str, Context], tuple[ResourceScope, ...]]:
    """The scopes that each client may have, by the context of the scopes: one does not make up for another."""
    holders: dict[tuple[str, str, Context], tuple[ResourceScope, ...]] = {}
    for settings in configurations:
        for issuer, client_id, scopes in _list_clients(settings):
            for scope in scopes:
                if isinstance(scope, ResourceScope):
                    key = issuer, client_id, scope.context
                    holders[key] = tuple(dict.fromkeys((*holders.get(key, ()), scope)))
    return holders


def _list_clients(settings: Settings) -> Iterator[tuple[str, str, tuple[Scope, ...]]]:
    if settings.smart_server is not None:
        for entry in settings.smart_server.clients:
            scopes = entry.to_client().scopes
            yield settings.smart_server_issuer(), entry.client_id, _OF_USERS if scopes is None else scopes
    for issuer in settings.issuers:
        yield issuer.issuer, "any client", _ALL


def _list_requests(
    scopes: tuple[ResourceScope, ...], addresses: Iterable[OperationAddress]
) -> Iterator[tuple[str, str, str, str]]:
    named = {scope.resource_type for scope in scopes}
    samples = _SAMPLE_TYPES if ANY_TYPE in named else ()
    for resource_type in sorted({*named, *samples} - {ANY_TYPE}):
        for interaction, method, path, query in _REQUESTS:
            yield interaction, method, path.replace("{type}", resource_type), query
    yield from _SYSTEM_REQUESTS
    for address in addresses:
        yield "operation", "GET", _path_of(address), ""


def _path_of(address: OperationAddress) -> str:
    resource_type = address.resource_type or "Patient"
    match address.level:
        case OperationLevel.SYSTEM:
            return f"/${address.name}"
        case OperationLevel.TYPE:
            return f"/{resource_type}/${address.name}"
        case OperationLevel.INSTANCE:
            return f"/{resource_type}/{{id}}/${address.name}"
    assert_never(address.level)


def _make_request(
    issuer: str,
    client_id: str,
    scopes: tuple[ResourceScope, ...],
    interaction: str,
    method: str,
    path: str,
    query: str,
) -> RecordedRequest:
    context = scopes[0].context
    return RecordedRequest(
        interaction=interaction,
        method=method,
        client_id=client_id,
        issuer=issuer,
        scope=format_scopes(scopes),
        path=path.replace("{id}", _RECORD).replace("{patient}", _PATIENT),
        query=query.replace("{id}", _RECORD),
        patient=_PATIENT if context is Context.PATIENT else None,
        user=None if context is Context.SYSTEM else _USER,
        has_subject=True,
    )
