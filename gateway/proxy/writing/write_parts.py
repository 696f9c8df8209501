"""The parts that carry out writes, by themselves and in transactions."""

from dataclasses import dataclass

from gateway.fhir.resources.links import UrlRewriter
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.writing.binary_owners import BinaryOwners
from gateway.proxy.writing.conditions import Conditions
from gateway.proxy.writing.delete_proofs import DeleteProofs
from gateway.proxy.writing.stored_states import StoredStates
from gateway.storage.turns import Turns


@dataclass(frozen=True, slots=True)
class WriteParts:
    """What a write asks for, is sent with and is answered by. `turns` are those of all writes of this process."""

    server: FhirServer
    states: StoredStates
    deletes: DeleteProofs
    conditions: Conditions
    rewriter: UrlRewriter
    turns: Turns
    binaries: BinaryOwners
