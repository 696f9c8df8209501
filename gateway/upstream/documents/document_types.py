"""What the control client and its fetcher share: the limits of a fetch, the fetched document and the error."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.upstream.documents.public_addresses import IPNetwork


class ControlError(Exception):
    """There is no usable response. The message says why and names the host, but quotes no secret."""


class FetchPurpose(StrEnum):
    """What is fetched. The values are labels of a metric. `PROVIDER`: all that a login at a provider needs."""

    ISSUER_KEYS = "issuer_keys"
    INTROSPECTION = "introspection"
    CLIENT_KEYS = "client_keys"
    PROVIDER = "provider"
    UPSTREAM_TOKEN = "upstream_token"


class FetchOutcome(StrEnum):
    """How a fetch ended. The values are labels of a metric. `REFUSED`: the status is not 2xx."""

    OK = "ok"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class FetchedDocument:
    """A response: status, header fields by lower-case name (repeated ones joined by commas) and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Limits of a fetch: addresses, seconds, bytes, and the authorities to trust.

    With `public_only`, only public addresses and those in `permitted_networks` are permitted.
    """

    public_only: bool
    permitted_networks: tuple[IPNetwork, ...]
    timeout: float
    max_bytes: int
    ssl_context: ssl.SSLContext | None
