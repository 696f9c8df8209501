"""The filter of an operation's answer, and what must be known of the resources that are sent with an operation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.fhir.reference import Reference
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.operation_rule import JudgedAnswer, OutcomeAnswer, TerminologyAnswer, WholeAnswer
from gateway.policy.permission.unit import Unit
from gateway.scopes.model import Letter


@dataclass(frozen=True, slots=True)
class SentReferences:
    """References of a resource that the client sends: all of them must lead into the reach of one of `units`.

    The `records` among their targets have to be looked up for that.
    """

    units: tuple[Unit, ...]
    references: tuple[Reference, ...]
    records: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class OperationFilter:
    """Keep of the answer of an operation what `answer` permits.

    Each resource that is judged by itself needs all of `letters`; without any, one by which it can be read or found.
    `types` are the only ones that the client asked for; None for all. `is_narrowed` says that the request names the
    patients, so that an honest server answers nothing else. What `sent_references` require holds before anything is
    sent. `sent_resource` is the client's, to which an outcome refers.
    """

    grant: Grant
    answer: JudgedAnswer | WholeAnswer | OutcomeAnswer | TerminologyAnswer
    letters: frozenset[Letter]
    types: frozenset[str] | None = None
    is_narrowed: bool = False
    sent_references: tuple[SentReferences, ...] = ()
    sent_resource: Mapping[str, Any] | None = field(default=None, compare=False)

    @property
    def keeps_everything(self) -> bool:
        """Whether nothing that the server answers can be dropped."""
        return self.grant.reads_everything and self.types is None

    @property
    def permits_all_results(self) -> bool:
        """Whether every result of an honest server is permitted, so that its total and links reveal nothing else."""
        return self.keeps_everything
