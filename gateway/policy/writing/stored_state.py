"""What the FHIR server has of a resource that is to be written."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.fhir.resources.version import ResourceVersion


# A Struct, because one is created per write: creating a frozen dataclass takes three times as long.
class StoredState(msgspec.Struct, frozen=True, gc=False):
    """The current version of a resource, as the FHIR server gave it. `text` is JSON with each member once.

    `owner_record` is what the securityContext of a Binary names, where that had to be looked up.
    """

    resource: Mapping[str, Any]
    text: bytes
    version: ResourceVersion
    owner_record: Mapping[str, Any] | None = None
