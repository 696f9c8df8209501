"""SMART scopes as values (SMART App Launch 2.2, scopes and launch context)."""

from dataclasses import dataclass
from enum import StrEnum


class Context(StrEnum):
    """The context of a resource scope: `patient/`, `user/` or `system/` (SC-26, SC-28, SC-29)."""

    PATIENT = "patient"
    USER = "user"
    SYSTEM = "system"


class Letter(StrEnum):
    """One permission letter of a SMART v2 scope, in the order that the grammar requires (SC-3)."""

    CREATE = "c"
    READ = "r"
    UPDATE = "u"
    DELETE = "d"
    SEARCH = "s"


ANY_TYPE = "*"


@dataclass(frozen=True, slots=True)
class Constraint:
    """One `name=value` pair of a granular scope.

    `value` is percent-decoded once and is never empty; commas in it mean OR (SC-17). `name` may be a chain with dots,
    and `modifier` is the part after a colon. Both are parsed, and refused by policy (SC-21).
    """

    name: str
    modifier: str | None
    value: str


@dataclass(frozen=True, slots=True)
class ResourceScope:
    """`patient/Observation.rs?category=laboratory` as a value.

    `resource_type` is an R4 type name or `*`. `is_v1` says that it was written as `.read`, `.write` or `.*`,
    so that the response can use the same form (SC-9).
    """

    context: Context
    resource_type: str
    letters: frozenset[Letter]
    constraints: tuple[Constraint, ...] = ()
    is_v1: bool = False


@dataclass(frozen=True, slots=True)
class LaunchScope:
    """`launch`, or `launch/patient`, `launch/list?role=...` with a lower-case type (SC-37..SC-41)."""

    resource_type: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class IdentityScope:
    """`openid`, `fhirUser`, or `profile`, its alias in SMART 1.0 (SC-42, SC-12)."""

    name: str


@dataclass(frozen=True, slots=True)
class RefreshScope:
    """`offline_access` or `online_access` (SC-43)."""

    name: str


@dataclass(frozen=True, slots=True)
class ExtensionScope:
    """A scope that SMART does not define: a full URI, or a name that begins with two underscores (EX-1)."""

    name: str


Scope = ResourceScope | LaunchScope | IdentityScope | RefreshScope | ExtensionScope
