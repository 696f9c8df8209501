"""A request as it is recorded: what its decision depends on, and nothing that says about whom it was."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.policy.reasons import Reason

FORMAT = 1
"""The version of the form, which each line says."""


class RecordedArgument(msgspec.Struct, frozen=True, omit_defaults=True):
    """One value in the body of an operation, as in `OperationArgument`. A resource has nothing but its type."""

    name: str
    kind: str
    value: Any = None


class RecordedReach(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was looked up about the user: the compartments that the request names, and about how many others."""

    compartment_type: str
    named: Sequence[str] = ()
    others: int = 0


class RecordedRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One shape of a request. Ids and values are stand-ins, the same ones for the same text within one request.

    `path` and `query` are those of the request below the FHIR base; a write has the criteria of `If-None-Exist` in
    `if_none_exist`. They are empty where `interaction` can only be named. `patient` and `user` are stand-ins, and
    `has_subject` says whether the token has a subject. `scope_words` are digests of its scopes
    that are not SMART's. `undeclared` are those search parameters which the FHIR server
    does not declare, by type, that can matter here; `is_statement_known` and `deletes_conditionally` are what else it
    declares. `decision` is what was decided before the FHIR server was asked, or None if that was not decided;
    `reason` is why the request was refused before that.
    """

    interaction: str
    method: str
    client_id: str = ""
    issuer: str = ""
    scope: str = ""
    path: str = ""
    query: str = ""
    if_none_exist: str = ""
    arguments: Sequence[RecordedArgument] = ()
    patient: str | None = None
    patient_problem: Reason | None = None
    user: str | None = None
    has_subject: bool = False
    scope_words: Sequence[str] = ()
    roles: Sequence[str] = ()
    purposes_of_use: Sequence[str] = ()
    reach: RecordedReach | None = None
    undeclared: Mapping[str, Sequence[str]] = {}
    is_statement_known: bool = True
    deletes_conditionally: bool = False
    decision: Reason | None = None
    reason: Reason | None = None
    format: int = FORMAT

    @property
    def target(self) -> str:
        """Method, path and query as one text."""
        address = f"{self.path}?{self.query}" if self.query else self.path
        return f"{self.method} {address}" if address else f"{self.method} ({self.interaction})"
