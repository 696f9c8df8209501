"""The canonical address of an interaction: the path and query that this gateway itself would ask it by."""

from typing import assert_never

from gateway.fhir.interaction import (
    BundlePost,
    Capabilities,
    CompartmentSearch,
    InstanceHistory,
    Interaction,
    Operation,
    Page,
    Read,
    SystemHistory,
    SystemSearch,
    TypeHistory,
    TypeSearch,
    VRead,
    Write,
)


def address_of(interaction: Interaction) -> tuple[str, str]:
    """(path, query) below the base, percent-encoded: what a `self` link shows and a sealed page remembers.

    Writes, operations and Bundles have no address that a GET could repeat: they are ("", "").
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
        case Page() | Write() | BundlePost() | Operation():
            return "", ""
    assert_never(interaction)
