"""The parts that carry out writes, by themselves and in transactions."""

from dataclasses import dataclass
from typing import Protocol

from gateway.fhir.resources.links import UrlRewriter
from gateway.policy.decision_types import UpstreamWrite
from gateway.proxy.fhir_server import ContentToSend, FhirServer, WriteAnswer
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.proxy.writing.binary_owners import BinaryOwners
from gateway.proxy.writing.conditions import Conditions
from gateway.proxy.writing.delete_proofs import DeleteProofs
from gateway.proxy.writing.stored_states import StoredStates
from gateway.storage.turns import Turns


class SendsWrites(Protocol):
    """Where a write is sent once it is permitted."""

    async def send_write(
        self, write: UpstreamWrite, trace: UpstreamTrace, upload: ContentToSend | None = None
    ) -> WriteAnswer:
        """Send a write. Raises `RequestRefused` unless it was carried out."""


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
