"""The words of the oracle: records and their versions, scopes, requests, and what is expected of a request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What a record says: its subject, and for an Observation its category; optional are performers and an encounter.
# A Binary has data and, optionally, an owner.
Record = Mapping[str, Any]
Key = tuple[str, str]
# Every version of each record, in order; None for a deletion.
World = dict[Key, tuple[Record | None, ...]]

PATIENTS = ("pat-a", "pat-b")


@dataclass(frozen=True)
class Unit:
    """One scope of an app: its letters, the type, and the category to which it is limited.

    Without a patient it reaches the records of everybody.
    """

    patient: str | None
    letters: str
    resource_type: str = "Observation"
    category: str | None = None

    @property
    def scope(self) -> str:
        """The scope as a text."""
        limit = f"?category={self.category}" if self.category else ""
        return f"{'patient' if self.patient else 'system'}/{self.resource_type}.{self.letters}{limit}"

    def covers(self, resource_type: str) -> bool:
        """Whether the scope is about the type. One that is limited by a parameter is about the types that have it."""
        return self.resource_type in {"*", resource_type} and (self.category is None or resource_type == "Observation")


App = tuple[Unit, ...]


@dataclass(frozen=True)
class Action:
    """One request: its kind, the id or the identifier that names a record, and what is written.

    `is_current` is what the client requires: None for nothing, or whether it names the current version. `version` is
    the number of the version that is read.
    """

    kind: str
    resource_type: str = "Observation"
    name: str = ""
    identifier: str = ""
    content: Record | None = None
    is_current: bool | None = None
    version: int = 0

    @property
    def key(self) -> Key:
        """The address of the record."""
        return self.resource_type, self.name


@dataclass(frozen=True)
class Bundle:
    """Several requests in one."""

    kind: str
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Expected:
    """The status, the versions afterwards, and what the response shows: addresses with records, or with deletions."""

    status: int
    world: World
    shown: tuple[tuple[Key, Record | None], ...] = ()


def is_given(name: str) -> bool:
    """Whether a record has its name from the client, and not from the server that made it."""
    return re.fullmatch(r"[reb][0-9]", name) is not None


def current(world: World, key: Key) -> Record | None:
    """The record as it is now; None if there is none."""
    return world.get(key, (None,))[-1]


def records_of_type(world: World, resource_type: str) -> dict[Key, Record]:
    """The records of a type as they are now."""
    keys = [key for key in world if key[0] == resource_type]
    return {key: record for key in keys if (record := current(world, key)) is not None}


def with_version(world: World, key: Key, record: Record | None) -> World:
    """The world after one more version."""
    return {**world, key: (*world.get(key, ()), record)}
