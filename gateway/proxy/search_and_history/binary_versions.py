"""Resolves the versions of a Binary on a page of its history: each as a vread of that version is judged (leak_15)."""

from dataclasses import replace

from gateway.fhir.reference import Reference
from gateway.fhir.resources.resource import MalformedResourceError, Members
from gateway.fhir.resources.version import read_version
from gateway.policy.decision_types import BinaryFilter
from gateway.policy.judgement.verdict import Verdict
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.reading.binary_checks import BinaryChecks
from gateway.proxy.reading.resource_checks import ResourceChecks
from gateway.proxy.request_context import RequestContext


async def resolve_binary_versions(
    verdict: Verdict, reference: Reference, server: FhirServer, checks: ResourceChecks, context: RequestContext
) -> None:
    """Judge the pending versions of the Binary. Raises `RequestRefused` and `MalformedResourceError`.

    A version that does not say which one it is counts as none.
    """
    permission = context.grant.read_permission("Binary")
    binary = BinaryChecks(server, BinaryFilter(permission, reference, context.grant), context, checks)
    current_version = await binary.check_current()
    for index, entry in verdict.pending_binaries.items():
        members = entry.resource or {}
        if await _is_permitted(binary, members, current_version):
            verdict.kept_entries[index] = entry
        else:
            verdict.record_drop("Binary")


async def _is_permitted(binary: BinaryChecks, members: Members, current_version: str | None) -> bool:
    version_id = read_version(members).version_id
    if version_id is None:
        return False
    binary_filter = binary.binary_filter
    version = replace(binary_filter.reference, version_id=version_id)
    try:
        return await replace(binary, binary_filter=replace(binary_filter, reference=version)).is_permitted(
            members, current_version
        )
    except MalformedResourceError:
        return False
