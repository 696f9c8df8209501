"""What one of several workers shares with the others: locks, metrics, and the commands of the supervisor."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gateway.commands.serving.supervisor import WorkerStart
from gateway.telemetry.decisions.recent_decisions import SharedDecisions
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.process_lock import ProcessLock
from gateway.telemetry.worker_metrics import PUBLISH_SECONDS, SharedSnapshots, WorkerMetrics


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker. `start` is what the supervisor has told it. `paging_key` seals links where the settings have none.

    `decisions` are the last ones of all workers, where there is an admin port.
    """

    start: WorkerStart
    audit_lock: ProcessLock
    snapshots: SharedSnapshots
    paging_key: bytes
    decisions: SharedDecisions | None = None

    @contextlib.asynccontextmanager
    async def share(self, metrics: Metrics) -> AsyncIterator[WorkerMetrics]:
        """Let the other workers see these metrics, once more at the end. The result is the sum over all workers."""
        shared = WorkerMetrics(metrics.registry, self.snapshots, self.start.place, predecessors=self.start.predecessors)
        publishing = asyncio.create_task(_publish(shared))
        try:
            yield shared
        finally:
            publishing.cancel()
            shared.publish()


async def _publish(shared: WorkerMetrics) -> None:
    while True:
        shared.publish()
        await asyncio.sleep(PUBLISH_SECONDS)
