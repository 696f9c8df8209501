"""The URL of an interaction: the path and query that this gateway itself would use for it."""

from typing import assert_never

from gateway.fhir.request.interaction import (
    BatchOrTransaction,
    Capabilities,
    CompartmentSearch,
    ExportCancel,
    ExportFile,
    ExportKickoff,
    ExportLevel,
    ExportStatus,
    InstanceHistory,
    Interaction,
    Operation,
    PagingLink,
    Read,
    SystemHistory,
    SystemSearch,
    TypeHistory,
    TypeSearch,
    VRead,
    Write,
)
from gateway.fhir.search.query import encode_pairs


def format_interaction_url(interaction: Interaction) -> tuple[str, str]:
    """The path and query below the FHIR base, percent-encoded, for `self` links and sealed pages.

    Writes, batches and paging links have no URL that a GET could repeat. They return `("", "")`.
    """
    match interaction:
        case Read(resource_type, id_, query):
            return f"/{resource_type}/{id_}", query.encode()
        case VRead(resource_type, id_, version_id, query):
            return f"/{resource_type}/{id_}/_history/{version_id}", query.encode()
        case InstanceHistory(resource_type, id_, query):
            return f"/{resource_type}/{id_}/_history", query.encode()
        case TypeHistory(resource_type, query):
            return f"/{resource_type}/_history", query.encode()
        case SystemHistory(query):
            return "/_history", query.encode()
        case TypeSearch(resource_type, query):
            return f"/{resource_type}", query.encode()
        case CompartmentSearch(compartment_type, compartment_id, resource_type, query):
            return f"/{compartment_type}/{compartment_id}/{resource_type}", query.encode()
        case SystemSearch(query):
            return "", query.encode()
        case Capabilities():
            return "/metadata", ""
        case ExportKickoff():
            return _export_path(interaction), interaction.parameters.encode()
        case ExportStatus() | ExportCancel() | ExportFile():
            return "", ""
        case Operation():
            return _operation_url(interaction)
        case PagingLink() | Write() | BatchOrTransaction():
            return "", ""
    assert_never(interaction)


def _operation_url(operation: Operation) -> tuple[str, str]:
    """The same operation as a GET; nothing if its body holds what no query can."""
    pairs = [*operation.parameters]
    for argument in operation.arguments:
        value = str(argument.value).lower() if isinstance(argument.value, bool) else argument.value
        if not isinstance(value, str | int):
            return "", ""
        pairs.append((argument.name, str(value)))
    parts = (operation.resource_type, operation.id, f"${operation.name}")
    return "".join(f"/{part}" for part in parts if part), encode_pairs(tuple(pairs))


def _export_path(kickoff: ExportKickoff) -> str:
    match kickoff.level:
        case ExportLevel.SYSTEM:
            return "/$export"
        case ExportLevel.PATIENT:
            return "/Patient/$export"
        case ExportLevel.GROUP:
            return f"/Group/{kickoff.group_id}/$export"
    assert_never(kickoff.level)
