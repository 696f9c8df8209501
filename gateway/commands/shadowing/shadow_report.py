"""Adds up audit lines: what enforcement would break, for each client that was in shadow mode."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.commands.shadowing.findings import BREAKING, Finding, FindingKind, read_findings
from gateway.policy.permission.rules import Rules
from gateway.policy.remedies import REMEDIES
from gateway.scopes.resource_types import RESOURCE_TYPES
from gateway.telemetry.decisions.explain_audit_line import find_line_remedies

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(slots=True)
class FoundRequests:
    """How many requests a finding is about, and how many records they would lose. `example` is a decision id."""

    example: str
    remedies: tuple[str, ...]
    requests: int = 0
    records: int = 0


@dataclass(slots=True)
class ClientReport:
    """What the lines of one client say. `first` and `last` are the times of its first and last request."""

    issuer: str
    client_id: str
    requests: int = 0
    in_shadow_mode: int = 0
    first: str = ""
    last: str = ""
    findings: dict[Finding, FoundRequests] = field(default_factory=dict)

    @property
    def breaking(self) -> int:
        """How many kinds of requests would break."""
        return sum(1 for finding in self.findings if finding.kind in BREAKING)

    @property
    def is_ready(self) -> bool:
        """Whether everything that was asked for would be answered in the same way."""
        return not self.breaking and not any(found.kind is FindingKind.NOT_JUDGED for found in self.findings)

    def of_kind(self, kind: FindingKind) -> list[tuple[Finding, FoundRequests]]:
        """The findings of one kind, the most frequent first."""
        found = [item for item in self.findings.items() if item[0].kind is kind]
        return sorted(found, key=lambda item: (-item[1].requests, item[0].request, item[0].reason, item[0].lost_type))


@dataclass(slots=True)
class ShadowReport:
    """The report on all clients of which a line says that a request was in shadow mode."""

    rules: Rules
    since: str = ""
    client_id: str | None = None
    _clients: dict[tuple[str, str], ClientReport] = field(default_factory=dict)

    def add_lines(self, lines: Iterable[bytes]) -> None:
        """Read lines of the audit log. What is no request with an accepted token, or cannot be read, is passed over."""
        for text in lines:
            try:
                line = orjson.loads(text)
            except orjson.JSONDecodeError:
                continue
            if isinstance(line, dict) and line.get("decision_id") and isinstance(line.get("client_id"), str):
                self._add(line)

    def _add(self, line: Mapping[str, Any]) -> None:
        is_wanted = self.client_id is None or line["client_id"] == self.client_id
        if not is_wanted or str(line.get("time", "")) < self.since:
            return
        try:
            findings = list(read_findings(line))
        except _UNREADABLE:
            return
        issuer, client_id, at = str(line.get("issuer")), line["client_id"], str(line.get("time", ""))
        client = self._clients.setdefault((issuer, client_id), ClientReport(issuer, client_id, first=at))
        client.requests += 1
        client.in_shadow_mode += "shadow" in line
        client.first, client.last = min(client.first, at), max(client.last, at)
        for finding, records in findings:
            found = client.findings.get(finding)
            if found is None:
                found = client.findings[finding] = FoundRequests(line["decision_id"], self._remedies(line, finding))
            found.requests += 1
            found.records += records

    def _remedies(self, line: Mapping[str, Any], finding: Finding) -> tuple[str, ...]:
        """What helps, as `explain` says it."""
        if finding.kind is FindingKind.REWRITTEN or finding.reason not in REMEDIES:
            return ()
        if finding.lost_type:
            if finding.lost_type not in RESOURCE_TYPES:
                return (REMEDIES[finding.reason],)
            line = {**line, "interaction": "search-type", "resource_type": finding.lost_type, "operation": None}
        try:
            return find_line_remedies(line, self.rules, finding.reason)
        except _UNREADABLE:
            return (REMEDIES[finding.reason],)

    def clients(self) -> list[ClientReport]:
        """The clients, in the order of their names."""
        found = (client for client in self._clients.values() if client.in_shadow_mode)
        return sorted(found, key=lambda client: (client.issuer, client.client_id))
