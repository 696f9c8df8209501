"""What a decision is: send this and keep that, refuse for a reason, or learn a fact first."""

from dataclasses import dataclass, field

from gateway.fhir.reference import Reference
from gateway.policy.grant import Grant
from gateway.policy.permission import Permission
from gateway.policy.reach import Unknown
from gateway.policy.reasons import Reason

# How many resources of a page of versions are looked up as they stand now, and so how many are asked for at once.
MAX_VERSIONS = 50


@dataclass(frozen=True, slots=True)
class Send:
    """The one request to the FHIR server. `path` begins with `/` or is empty; `query` is percent-encoded.

    A search leaves with cache and leniency switched off (hapi.md B2, B4).
    """

    path: str
    query: str = ""
    search: bool = False


@dataclass(frozen=True, slots=True)
class Relay:
    """Let the answer through unread: the token permits every resource of every type."""


@dataclass(frozen=True, slots=True)
class KeepResource:
    """Keep one resource if it is the one asked for and `permission` permits it."""

    permission: Permission
    reference: Reference
    grant: Grant


@dataclass(frozen=True, slots=True)
class KeepBinary:
    """Keep a Binary that `permission` permits, or that something in its reach vouches for (enforcement.md 2)."""

    permission: Permission
    reference: Reference
    grant: Grant


@dataclass(frozen=True, slots=True)
class KeepMatches:
    """Keep the entries of a searchset. `match` is for the searched type; None where several are searched: `types`.

    `ids` are those that the search named by `_id`: whatever else comes back as a match is dropped. `exact` says that
    the narrowed query returns nothing but what is permitted, so that its total is safe to repeat.
    """

    grant: Grant
    match: Permission | None
    ids: frozenset[str] | None
    exact: bool
    types: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class KeepVersions:
    """Keep the entries of a history: of one instance, or (`instance` None) of the types that can be found."""

    grant: Grant
    instance: Reference | None
    resource_type: str | None


@dataclass(frozen=True, slots=True)
class KeepCapabilities:
    """`/metadata`: the upstream's CapabilityStatement with our security section."""


Keep = Relay | KeepResource | KeepBinary | KeepMatches | KeepVersions | KeepCapabilities


@dataclass(frozen=True, slots=True)
class Allow:
    """Send, then keep. `current` must be readable as it stands now before anything is sent (vread, history).

    `left_out` tells in plain words what was asked and not sent: types and includes out of reach. `shown` is how many of
    the permitted matches of the page that is sent for were shown before.
    """

    send: Send
    keep: Keep
    current: Reference | None = None
    left_out: tuple[str, ...] = field(default=())
    shown: int = 0


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuse. `offender` names the parameter or type; `scope` is one that would help, if any would."""

    reason: Reason
    offender: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """Learn the compartments of a user first, then decide again."""

    unknown: Unknown


Decision = Allow | Deny | Need
