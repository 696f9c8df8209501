"""What the admin port of one process keeps, whatever configuration is in force."""

from dataclasses import dataclass

from gateway.audit_delivery.build import AuditTrail
from gateway.telemetry.decisions.recent_decisions import RecentDecisions


@dataclass(frozen=True, slots=True)
class LastingAdminParts:
    """`recent` are the last decisions. `audit` keeps AuditEvents, where they are configured."""

    recent: RecentDecisions
    audit: AuditTrail | None = None
