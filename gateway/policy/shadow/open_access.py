"""Shadow mode: the grant by which a request is answered that is not held to its own, and which requests are.

The open grant is an ordinary one, that of a token with `system/*.rs`: what it permits is decided, sent and judged in
the same way as for any token, and rules about records limit it as they limit the token itself.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from gateway.fhir.request.interaction import (
    BatchOrTransaction,
    Capabilities,
    CompartmentSearch,
    ExportCancel,
    ExportFile,
    ExportKickoff,
    ExportStatus,
    InstanceHistory,
    Interaction,
    Operation,
    PagingLink,
    Read,
    SystemHistory,
    SystemSearch,
    TypeHistory,
    TypeSearch,
    VRead,
    Write,
)
from gateway.fhir.search.query import SummaryMode
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.operation_rule import find_operation_rule
from gateway.policy.permission.rules import Rules
from gateway.scopes.model import ANY_TYPE, Context, Letter, ResourceScope

_READING = frozenset({Letter.READ, Letter.SEARCH})


@dataclass(frozen=True, slots=True)
class Opening:
    """What is in shadow mode beside reads and searches: `writes`, `operations` that only read, and `record_rules`."""

    writes: bool = False
    operations: bool = False
    record_rules: bool = False

    def includes(self, interaction: Interaction, rules: Rules) -> bool:
        """Whether a request is in shadow mode. An entry of a Bundle is a request by itself, and so is a page."""
        match interaction:
            case Read() | VRead() | InstanceHistory() | TypeHistory() | SystemHistory():
                return True
            case TypeSearch() | CompartmentSearch() | SystemSearch():
                return True
            case Write():
                return self.writes
            case Operation():
                rule = find_operation_rule(interaction, rules.operations)
                return self.operations and rule is not None and not rule.affects_state
            case ExportKickoff() | ExportStatus() | ExportCancel() | ExportFile():
                return False
            case BatchOrTransaction() | Capabilities() | PagingLink():
                return False
        assert_never(interaction)


def open_grant(access: Access, rules: Rules, opening: Opening) -> Grant:
    """The grant by which a request in shadow mode is answered. `access` is that of the token.

    It is made for one request, so that none is left when shadow mode ends.
    """
    letters = frozenset(Letter) if opening.writes else _READING
    scope = ResourceScope(Context.SYSTEM, ANY_TYPE, letters)
    return Grant(replace(access, scopes=(scope,)), replace(rules, record_rules=()) if opening.record_rules else rules)


def ask_for_whole_resources(interaction: Interaction) -> Interaction:
    """The request without `_elements` and `_summary`, which would leave out what the judge looks at (leak_29).

    A count stays one, since it has no resources.
    """
    match interaction:
        case Read() | VRead() | TypeSearch() | CompartmentSearch() | SystemSearch():
            query = interaction.query
            if query.summary is SummaryMode.COUNT or (query.summary is None and not query.elements):
                return interaction
            return replace(interaction, query=replace(query, summary=None, elements=()))
        case _:
            return interaction
