"""Builds what carries out writes."""

from dataclasses import dataclass

from gateway.fhir.resources.links import UrlRewriter
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.page_links import PageLinks
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.writing.binary_owners import BinaryOwners
from gateway.proxy.writing.conditions import Conditions
from gateway.proxy.writing.delete_proofs import DeleteProofs
from gateway.proxy.writing.stored_states import StoredStates
from gateway.proxy.writing.transaction_writes import TransactionWrites
from gateway.proxy.writing.write_executor import WriteExecutor
from gateway.proxy.writing.write_parts import WriteParts
from gateway.storage.turns import Turns


@dataclass(frozen=True, slots=True)
class Writes:
    """What carries out writes, by themselves and in transactions, and the `parts` of both."""

    parts: WriteParts
    executor: WriteExecutor
    transactions: TransactionWrites


def build_writes(server: FhirServer, page_links: PageLinks, rewriter: UrlRewriter, turns: Turns) -> Writes:
    """Writes take `turns`, which are those of the whole process."""
    states, checks = StoredStates(server), ResourceChecks(server)
    conditions, binaries = Conditions(server, checks, page_links), BinaryOwners(states, checks)
    parts = WriteParts(server, states, DeleteProofs(server), conditions, rewriter, turns, binaries)
    return Writes(parts, WriteExecutor(parts), TransactionWrites(parts))
