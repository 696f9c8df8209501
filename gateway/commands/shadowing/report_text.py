"""The report on shadow mode as lines for people and as objects for programs."""

from collections.abc import Iterator
from dataclasses import asdict

from gateway.commands.shadowing.findings import Finding, FindingKind
from gateway.commands.shadowing.shadow_report import ClientReport, FoundRequests
from gateway.policy.reasons import Reason

_HEADINGS = {
    FindingKind.REFUSED: "Would be refused",
    FindingKind.SHORTENED: "Would be answered with less",
    FindingKind.REFUSED_ALREADY: "Are refused in shadow mode as well",
    FindingKind.NOT_JUDGED: "Could not be judged, since the FHIR server failed",
    FindingKind.REWRITTEN: "Would be asked of the FHIR server in another way, which breaks nothing",
}


def report_lines(client: ClientReport) -> Iterator[str]:
    """The report on one client."""
    yield f"{client.client_id} of {client.issuer}"
    counts = f"{client.requests} requests, {client.in_shadow_mode} of them in shadow mode"
    yield f"  {counts}, {client.first} to {client.last}"
    for kind, heading in _HEADINGS.items():
        found = client.of_kind(kind)
        if found:
            yield f"  {heading}:"
        for finding, requests in found:
            yield f"    {requests.requests:>7}  {_describe(finding, requests)}"
            for remedy in requests.remedies:
                yield f"             would help: {remedy}"
    yield f"  {verdict(client)}"


def _describe(finding: Finding, found: FoundRequests) -> str:
    words = [finding.request]
    if finding.detail:
        words.append(f"({finding.detail})")
    if finding.lost_type:
        words.append(f"without {found.records} {finding.lost_type}")
    if finding.reason is not Reason.PERMITTED:
        words.append(f"- {finding.reason}")
    return f"{' '.join(words)}  [{found.example}]"


def verdict(client: ClientReport) -> str:
    """Whether the client can be enforced."""
    if client.is_ready:
        return "Ready to enforce: every one of these requests would be answered in the same way."
    if not client.breaking:
        return "Not known: some requests could not be judged."
    if client.breaking == 1:
        return "This 1 kind of requests would break."
    return f"These {client.breaking} kinds of requests would break."


def report_object(client: ClientReport) -> dict[str, object]:
    """The report on one client as a JSON object."""
    return {
        "issuer": client.issuer,
        "client_id": client.client_id,
        "requests": client.requests,
        "in_shadow_mode": client.in_shadow_mode,
        "first": client.first,
        "last": client.last,
        "is_ready": client.is_ready,
        "breaking": client.breaking,
        "findings": [
            {**asdict(finding), **asdict(found)} for kind in FindingKind for finding, found in client.of_kind(kind)
        ],
    }
