"""Explains a batch or transaction: each entry as the request that it is, and what that makes of the whole."""

from collections.abc import Iterator, Mapping

from gateway.fhir.request.bundle_body import parse_bundle
from gateway.fhir.request.bundle_entry import may_be_entry, read_entry_body, read_target
from gateway.fhir.request.interaction import BundleKind, BundleRequest
from gateway.fhir.request.parse_request import is_write, parse_request
from gateway.fhir.request_error import RequestError
from gateway.fhir.search_parameters import SearchType
from gateway.policy.decision.explain_decision import describe_access, explain
from gateway.policy.decision.explanation import Explanation, Line, Outcome, explain_refusal
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
from gateway.policy.remedies import REMEDIES

ExtraParameters = Mapping[str, Mapping[str, SearchType]]


def explain_bundle(body: bytes, grant: Grant, extra_parameters: ExtraParameters) -> Explanation:
    """The explanation of `POST /` with this body."""
    try:
        bundle = parse_bundle(body, {b"content-type": b"application/fhir+json"})
    except RequestError as error:
        return explain_problem(error)
    entries = [_explain_entry(entry, grant, extra_parameters) for entry in bundle.entries]
    lines = [Line("Request", bundle.kind.value), *describe_access(grant)]
    for index, (entry, explanation) in enumerate(zip(bundle.entries, entries, strict=True)):
        lines.append(Line(f"Entry {index}", f"{entry.method} {entry.url}"))
        lines += _own_lines(explanation, grant)
    refused = [explanation for explanation in entries if explanation.outcome is Outcome.REFUSED]
    if refused and bundle.kind is BundleKind.TRANSACTION:
        lines.append(Line("Outcome", "refused as a whole, on account of the entries that are refused"))
        return Explanation(tuple(lines), Outcome.REFUSED, refused[0].reason, refused[0].remedies)
    if bundle.kind is BundleKind.TRANSACTION:
        lines.append(Line("Outcome", "depends on every entry: one that is refused refuses the whole"))
    else:
        lines.append(Line("Outcome", "permitted; every entry has its own answer"))
    is_permitted = all(explanation.outcome is Outcome.PERMITTED for explanation in entries)
    outcome = Outcome.PERMITTED if is_permitted else Outcome.DEPENDS
    return Explanation(tuple(lines), outcome, Reason.PERMITTED)


def explain_problem(error: RequestError) -> Explanation:
    """The explanation of a request that cannot be parsed."""
    reason = Reason(error.problem.value)
    return explain_refusal((), reason, (REMEDIES[reason],), offender=error.offender, hint=error.hint)


def _explain_entry(entry: BundleRequest, grant: Grant, extra_parameters: ExtraParameters) -> Explanation:
    try:
        target = read_target(entry, grant.rules.public_base)
        if not may_be_entry(entry.method, target):
            reason = Reason.INTERACTION_NOT_SUPPORTED
            return explain_refusal((), reason, (REMEDIES[reason],), offender="request.url")
        headers, body = dict(entry.headers), b""
        if not is_write(entry.method, target.path):
            headers[b"content-type"], body = read_entry_body(entry)
        interaction = parse_request(
            entry.method, target.path, target.query, headers, body, extra_parameters=extra_parameters
        )
    except RequestError as error:
        return explain_problem(error)
    return explain(interaction, grant)


def _own_lines(explanation: Explanation, grant: Grant) -> Iterator[Line]:
    """The lines of an entry, without those that are about the token."""
    of_all = set(describe_access(grant))
    for line in explanation.all_lines():
        if line not in of_all:
            yield Line(f"  {line.label}", line.text)
