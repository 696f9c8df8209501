"""The last decisions about FHIR requests, as the audit log has them, and why they were made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.policy.decision.explanation import Explanation
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.telemetry.decisions.explain_audit_line import AuditLineError, explain_audit_line
from gateway.telemetry.decisions.recent_decisions import RecentDecisions

MAX_LISTED = 200


@dataclass(frozen=True, slots=True)
class ExplainedDecision:
    """The fields of the audit line, and their explanation by the rules that are in force now."""

    fields: Mapping[str, Any]
    explanation: Explanation


class Decisions:
    """Those of this gateway, all its workers. Other replicas have their own."""

    def __init__(self, recent: RecentDecisions, rules: Rules) -> None:
        self._recent = recent
        self._rules = rules

    def recent(
        self, limit: int = 50, *, client: str | None = None, refused_only: bool = False
    ) -> tuple[Mapping[str, Any], ...]:
        """The audit lines of the last decisions, the newest first."""

        def fits(fields: Mapping[str, Any]) -> bool:
            is_of_client = client is None or fields.get("client_id") == client
            return is_of_client and not (refused_only and fields.get("reason") == Reason.PERMITTED.value)

        return tuple(self._recent.latest(min(limit, MAX_LISTED), fits))

    def explain(self, decision_id: str) -> ExplainedDecision:
        """One decision and its explanation. Raises `AdminRequestError`."""
        fields = self._recent.find(decision_id)
        if fields is None:
            raise AdminRequestError(
                404,
                "This gateway does not remember a decision of this id. The audit log may have its line: see "
                "`smart-gateway explain --decision`.",
            )
        try:
            return ExplainedDecision(fields, explain_audit_line(fields, self._rules))
        except AuditLineError as error:
            raise AdminRequestError(404, str(error)) from error
