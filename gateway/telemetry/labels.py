"""The names that metrics and audit lines use for resource types and clients: a bounded number of them."""

from collections.abc import Mapping

from gateway.fhir.request import interaction as fhir
from gateway.scopes.resource_types import RESOURCE_TYPES

# Stands for names of which there is no bound, such as resource types that R4 does not define.
OTHER = "other"
# The client of a request without an accepted token. What a refused token says is not proven, and is no label.
NO_CLIENT = "none"
MAX_CLIENTS = 100
"""Clients with a label of their own: the first ones that this process has seen."""
_MAX_CLIENT_LENGTH = 200


class ClientLabels:
    """The labels of clients. Apps may register themselves, so that there is no other bound on their number."""

    def __init__(self) -> None:
        self.labels: dict[str, str] = {}

    def admit(self, client_id: str) -> str:
        """The label of a client that has none yet: cut, and valid Unicode, without which no metric could be read."""
        if len(self.labels) >= MAX_CLIENTS:
            return OTHER
        label = self.labels[client_id] = client_id[:_MAX_CLIENT_LENGTH].encode("utf-8", "replace").decode()
        return label


def requested_type(interaction: fhir.RecordedInteraction | None) -> str | None:
    """The resource type that a request names, if it names one. `*` is a compartment search for every type."""
    return getattr(interaction, "resource_type", None)


def known_type(resource_type: str) -> str:
    """The label of a resource type."""
    return resource_type if resource_type in RESOURCE_TYPES else OTHER


def count_by_known_type(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by resource type, with all types that R4 does not define added up under `other`."""
    counts_by_label: dict[str, int] = {}
    for resource_type, count in counts.items():
        label = known_type(resource_type)
        counts_by_label[label] = counts_by_label.get(label, 0) + count
    return counts_by_label
