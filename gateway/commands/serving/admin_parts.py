"""What one process has for the admin port, whatever configuration is in force."""

from typing import TYPE_CHECKING

from gateway.audit_delivery.build import AuditTrail
from gateway.commands.serving.worker import Worker
from gateway.settings.model import Settings
from gateway.telemetry.decisions.recent_decisions import RecentDecisions, SharedDecisions

if TYPE_CHECKING:
    from gateway.admin.lasting_parts import LastingAdminParts


def build_admin_parts(
    settings: Settings, worker: Worker | None, audit: AuditTrail | None
) -> "LastingAdminParts | None":
    """The parts; None where there is no admin port. Workers share the memory of their last decisions."""
    if settings.admin.port is None:
        return None
    # Imported here, because without an admin port nobody needs it.
    from gateway.admin.lasting_parts import LastingAdminParts  # noqa: PLC0415

    if worker is not None and worker.decisions is not None:
        return LastingAdminParts(RecentDecisions(worker.decisions, worker.start.place), audit)
    return LastingAdminParts(RecentDecisions(SharedDecisions(1, settings.admin.recent_decisions_bytes)), audit)
