"""The resource that a response names by `Location`."""

import re

from gateway.fhir.reference import Reference

_LOCATION = re.compile(rb"/([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?$")


def read_location(location: bytes | None) -> Reference | None:
    """The resource with its version, which the gateway itself has written into the header; None if there is none."""
    match = None if location is None else _LOCATION.search(location)
    if match is None:
        return None
    return Reference(match[1].decode(), match[2].decode(), None if match[3] is None else match[3].decode())
