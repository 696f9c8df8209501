"""Deletes by criteria: a search by the same criteria shows what they would delete, before they are sent."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.reference import Reference
from gateway.fhir.resources.bundle import Bundle, read_bundle
from gateway.fhir.resources.resource import MalformedResourceError, read_type_and_id
from gateway.policy.decision_types import UpstreamRequest
from gateway.policy.reasons import Reason
from gateway.policy.writing.stored_state import StoredState
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.proxy.writing.stored_states import read_entry_state

# Searches for one transaction that are under way at the same time.
_MAX_CONCURRENT = 8
# Ids in one search. Each has at most 64 characters.
_IDS_PER_SEARCH = 50

Delete = tuple[Reference, str]


@dataclass(frozen=True, slots=True)
class _Group:
    """Deletes whose criteria are `_id` and what follows it."""

    resource_type: str
    criteria: str
    references: Sequence[Reference]


class DeleteProofs:
    """Proves that criteria find what is to be deleted and nothing else: the server would delete all of it."""

    def __init__(self, server: FhirServer) -> None:
        self._server = server

    async def find(self, reference: Reference, criteria: str, trace: UpstreamTrace) -> StoredState | None:
        """The resource, if a search by the criteria of its delete finds it alone: its state and the proof in one.

        None where the search finds anything else or fails, so that the resource is looked at as for any write.
        """
        try:
            bundle = await self._search(reference.resource_type, criteria, trace)
            return read_entry_state(bundle.entry[0]) if _find_addresses(bundle) == [_address(reference)] else None
        except (MalformedResourceError, RequestRefused):
            return None

    async def prove(self, reference: Reference, criteria: str, trace: UpstreamTrace) -> None:
        """Raises `RequestRefused` unless a search by the criteria of a delete finds this one resource."""
        if reference.resource_type == "Binary":
            # Its content is not needed. A server that sends it nevertheless does no harm.
            criteria += "&_elements=id,meta"
        found = _find_addresses(await self._search(reference.resource_type, criteria, trace))
        if found == []:
            # It is no longer what was checked.
            raise RequestRefused(Reason.PRECONDITION_FAILED)
        if found != [_address(reference)]:
            # What the server finds beside it would be deleted as well.
            raise RequestRefused(Reason.RACE_NOT_EXCLUDED)

    async def prove_all(
        self, deletes: Sequence[Delete], trace: UpstreamTrace
    ) -> list[RequestRefused | MalformedResourceError | None]:
        """As `prove`, for each: by one search for those whose criteria differ in the id alone, else one by one."""
        groups = _group(deletes)
        proven = await asyncio.gather(*(self._finds_all(group, trace) for group in groups))
        covered = set[Reference]().union(
            *(group.references for group, is_proven in zip(groups, proven, strict=True) if is_proven)
        )
        limit = asyncio.Semaphore(_MAX_CONCURRENT)

        async def prove_one(delete: Delete) -> RequestRefused | MalformedResourceError | None:
            if delete[0] in covered:
                return None
            async with limit:
                try:
                    await self.prove(*delete, trace)
                except (RequestRefused, MalformedResourceError) as error:
                    return error
            return None

        return await asyncio.gather(*map(prove_one, deletes))

    async def _finds_all(self, group: _Group, trace: UpstreamTrace) -> bool:
        """Whether a search for the group finds exactly its resources."""
        ids = ",".join(reference.id for reference in group.references)
        query = f"_id={ids}{group.criteria}&_count={len(group.references)}"
        try:
            found = _find_addresses(await self._search(group.resource_type, query, trace)) or []
        except (MalformedResourceError, RequestRefused):
            return False
        return len(found) == len(group.references) and set(found) == set(map(_address, group.references))

    async def _search(self, resource_type: str, criteria: str, trace: UpstreamTrace) -> Bundle:
        request = UpstreamRequest(f"/{resource_type}", criteria, is_search=True)
        return read_bundle(await self._server.fetch(request, trace))


def _find_addresses(bundle: Bundle) -> list[tuple[str, str] | None] | None:
    """The type and the id of everything that a search finds; None if there is another page of it."""
    if any(link.relation.lower() == "next" for link in bundle.link):
        return None
    return [read_type_and_id(entry.resource) for entry in bundle.entry if entry.resource is not None]


def _address(reference: Reference) -> tuple[str, str]:
    return reference.resource_type, reference.id


def _group(deletes: Sequence[Delete]) -> list[_Group]:
    """The deletes that differ in the id alone, several at a time.

    An id has no character that a query would escape. A Binary comes by itself, for the sake of its size.
    """
    alike: dict[tuple[str, str], list[Reference]] = {}
    for reference, criteria in deletes:
        first, separator, rest = criteria.partition("&")
        if first == f"_id={reference.id}" and reference.resource_type != "Binary":
            alike.setdefault((reference.resource_type, separator + rest), []).append(reference)
    return [
        _Group(*common, references[start : start + _IDS_PER_SEARCH])
        for common, references in alike.items()
        if len(references) > 1
        for start in range(0, len(references), _IDS_PER_SEARCH)
    ]
