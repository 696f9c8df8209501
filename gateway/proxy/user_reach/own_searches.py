"""Searches that the gateway makes to learn whom a user may see: paged, bounded, and verified record by record."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.matching.criterion import CompiledCriterion, compile_criterion
from gateway.fhir.reference import Reference, find_references
from gateway.fhir.resources.bundle import BundleEntry, read_bundle
from gateway.fhir.resources.records_in_force import drop_ended_parts, is_in_force
from gateway.fhir.resources.resource import decode_members, open_resource, read_type_and_id
from gateway.fhir.search.query import encode_pairs
from gateway.policy.decision_types import UpstreamRequest
from gateway.policy.permission.rules import Rules, UnnarrowedSearch
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.page_links import PageLinks
from gateway.proxy.upstream_trace import UpstreamTrace

_MAX_PAGES = 20
_LIMIT = ("_count", "200")
_ALWAYS_READ = frozenset({"resourceType", "id", "active", "status", "period"})


@dataclass(frozen=True, slots=True)
class OwnSearch:
    """A search of one type. A record counts if it satisfies all `criteria`; of it, `elements` are read."""

    resource_type: str
    criteria: tuple[tuple[str, str], ...]
    elements: frozenset[str]


class OwnSearches:
    """Carries out searches of the gateway's own."""

    def __init__(self, server: FhirServer, rules: Rules, page_links: PageLinks) -> None:
        self._server = server
        self._rules = rules
        self._page_links = page_links

    async def read(
        self, reference: Reference, elements: frozenset[str], trace: UpstreamTrace, now: float
    ) -> dict[str, Any] | None:
        """The record, without what has ended; None if there is none or it no longer holds."""
        try:
            body = await self._server.fetch_own(UpstreamRequest(f"/{reference}"), trace)
        except RequestRefused as refused:
            if refused.deny.reason is Reason.NOT_FOUND:
                return None
            raise
        members = open_resource(body)
        if read_type_and_id(members) != (reference.resource_type, reference.id):
            return None
        resource = decode_members(members, elements | _ALWAYS_READ)
        return drop_ended_parts(resource, now) if is_in_force(resource, now) else None

    async def find(self, search: OwnSearch, trace: UpstreamTrace, now: float) -> AsyncIterator[dict[str, Any]]:
        """The records that satisfy the search and still hold, without what has ended.

        Each is checked here: a server that ignores a parameter returns all records. Raises `RequestRefused`, also if
        there are too many pages.
        """
        bases = self._rules.bases
        criteria = [
            compile_criterion(search.resource_type, name, None, value, bases) for name, value in search.criteria
        ]
        elements = search.elements.union(_ALWAYS_READ, *(criterion.elements for criterion in criteria))
        request: UpstreamRequest | None = None
        for page in range(_MAX_PAGES):
            if page == 0:
                request, body = await self._fetch_first_page(search, trace)
            elif request is not None:
                body = await self._server.fetch_own(request, trace)
            else:
                return
            bundle = read_bundle(body)
            for entry in bundle.entry:
                resource = _read_entry(entry, search.resource_type, criteria, elements, now)
                if resource is not None:
                    yield resource
            target = self._page_links.find_next(bundle, request)
            request = None if target is None else request.page(target)
        if request is not None:
            hint = f"The search of {search.resource_type} that tells whom the user reaches has too many pages."
            raise RequestRefused(Reason.USER_REACH_UNKNOWN, hint=hint)

    async def _fetch_first_page(self, search: OwnSearch, trace: UpstreamTrace) -> tuple[UpstreamRequest, bytes]:
        """The request and its page. A server that does not know a parameter is asked for all records of the type,
        unless the operator refuses searches that nothing narrows.
        """
        path = f"/{search.resource_type}"
        request = UpstreamRequest(path, encode_pairs((*search.criteria, _LIMIT)), is_search=True)
        try:
            return request, await self._server.fetch_own(request, trace)
        except RequestRefused as refused:
            may_search_all = self._rules.search_without_narrowing is UnnarrowedSearch.ALLOW
            if refused.deny.reason is not Reason.UPSTREAM_REJECTED or not may_search_all:
                raise
        request = UpstreamRequest(path, encode_pairs((_LIMIT,)), is_search=True)
        return request, await self._server.fetch_own(request, trace)

    def find_ids(self, resource: dict[str, Any], path: str, resource_type: str) -> Iterator[str]:
        """The ids of `resource_type` that the elements at `path`, such as `member.entity`, refer to."""
        values: list[Any] = [resource]
        for name in path.split("."):
            values = [
                part
                for value in values
                if isinstance(value, dict)
                for part in (value[name] if isinstance(value.get(name), list) else [value.get(name)])
            ]
        for reference in find_references(values, self._rules.bases):
            if reference.resource_type == resource_type:
                yield reference.id


def _read_entry(
    entry: BundleEntry, resource_type: str, criteria: list[CompiledCriterion], elements: frozenset[str], now: float
) -> dict[str, Any] | None:
    members = entry.resource
    address = read_type_and_id(members) if members is not None else None
    if members is None or address is None or address[0] != resource_type:
        return None
    resource = decode_members(members, elements)
    if not is_in_force(resource, now):
        return None
    held = drop_ended_parts(resource, now)
    return held if all(criterion.matches(held) for criterion in criteria) else None
