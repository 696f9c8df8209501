"""Fetches the stored state of the resources that a write is about, or that its content refers to."""

import asyncio
from collections.abc import Container, Iterable, Mapping
from typing import Any

import msgspec
import orjson

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.reference import Reference
from gateway.fhir.resources.bundle import BundleEntry, read_bundle
from gateway.fhir.resources.resource import (
    MalformedResourceError,
    Members,
    decode_members,
    may_hold_resources,
    read_resource,
    read_type_and_id,
)
from gateway.fhir.resources.version import read_version
from gateway.fhir.search.query import encode_pairs
from gateway.policy.decision_types import UpstreamRequest
from gateway.policy.reasons import Reason
from gateway.policy.writing.stored_state import StoredState
from gateway.proxy.fhir_server import FhirServer
from gateway.proxy.reading.record_failures import hangs_on_record
from gateway.proxy.upstream_trace import UpstreamTrace

# Requests for one write that are under way at the same time.
_MAX_CONCURRENT = 8

# Ids in one search. Each has at most 64 characters.
_IDS_PER_SEARCH = 50

_ENCODER = msgspec.json.Encoder()


class StoredStates:
    """Reads resources for the checks of writes; nothing of them is shown."""

    def __init__(self, server: FhirServer) -> None:
        self._server = server

    async def fetch(
        self, reference: Reference, trace: UpstreamTrace, *, with_content: bool = False
    ) -> StoredState | None:
        """The current version; None if there is none, or one that cannot be judged. Raises `RequestRefused`.

        A Binary comes without its content unless it is asked for `with_content`.
        """
        try:
            leaves_out_content = reference.resource_type == "Binary" and not with_content
            fetch = self._server.fetch_without_content if leaves_out_content else self._server.fetch
            body = await fetch(UpstreamRequest(f"/{reference}"), trace)
            state = _read_at_once(body, reference)
            if state is not None:
                return state
            members, text = read_resource(body)
            if read_type_and_id(members) != (reference.resource_type, reference.id):
                raise MalformedResourceError("another resource than the one that was requested")
            return read_state(members, text)
        except MalformedResourceError as error:
            raise RequestRefused(Reason.UPSTREAM_MALFORMED, public_reason=Reason.NOT_FOUND) from error
        except RequestRefused as refused:
            if refused.deny.reason is Reason.NOT_FOUND:
                return None
            if await hangs_on_record(refused, reference.resource_type, self._server, trace):
                refused.public_reason = Reason.NOT_FOUND
            raise

    async def fetch_records(
        self, references: Iterable[Reference], trace: UpstreamTrace
    ) -> dict[Reference, Mapping[str, Any] | None]:
        """The records to which a body refers, None for each that is not there or cannot be read.

        All of these are the same to the client, so that no failure tells that a record exists.
        """
        limit = asyncio.Semaphore(_MAX_CONCURRENT)

        async def fetch_one(reference: Reference) -> Mapping[str, Any] | None:
            async with limit:
                try:
                    state = await self.fetch(reference, trace)
                except RequestRefused as refused:
                    if refused.public_reason is Reason.NOT_FOUND:
                        return None
                    raise
            return None if state is None else state.resource

        wanted = tuple(dict.fromkeys(references))
        if not wanted:
            return {}
        found = await self._search_by_id(wanted, trace)
        records: dict[Reference, Mapping[str, Any] | None] = {one: state.resource for one, state in found.items()}
        missing = [reference for reference in wanted if reference not in records]
        records.update(zip(missing, await asyncio.gather(*map(fetch_one, missing)), strict=True))
        return records

    async def fetch_all(
        self, references: Iterable[Reference], trace: UpstreamTrace, *, with_content: Container[Reference] = ()
    ) -> dict[Reference, StoredState | None]:
        """As `fetch`, for many: in few searches, and one by one for Binaries and those that no search finds."""
        wanted = tuple(dict.fromkeys(references))
        states: dict[Reference, StoredState | None] = dict(await self._search_by_id(wanted, trace))
        limit = asyncio.Semaphore(_MAX_CONCURRENT)

        async def fetch_one(reference: Reference) -> StoredState | None:
            async with limit:
                return await self.fetch(reference, trace, with_content=reference in with_content)

        missing = [reference for reference in wanted if reference not in states]
        states.update(zip(missing, await asyncio.gather(*map(fetch_one, missing)), strict=True))
        return states

    async def _search_by_id(
        self, references: tuple[Reference, ...], trace: UpstreamTrace
    ) -> dict[Reference, StoredState]:
        """The states that searches by `_id` find. What they do not find may exist all the same."""
        ids_by_type: dict[str, list[str]] = {}
        for reference in references:
            ids_by_type.setdefault(reference.resource_type, []).append(reference.id)
        requests = [
            UpstreamRequest(
                f"/{name}", encode_pairs((("_id", ",".join(chunk)), ("_count", str(len(chunk))))), is_search=True
            )
            for name, ids in ids_by_type.items()
            if len(ids) > 1 and name != "Binary"
            for chunk in (ids[start : start + _IDS_PER_SEARCH] for start in range(0, len(ids), _IDS_PER_SEARCH))
        ]
        wanted = set(references)
        pages = await asyncio.gather(*(self._search(request, trace) for request in requests))
        return {reference: state for page in pages for reference, state in page if reference in wanted}

    async def _search(self, request: UpstreamRequest, trace: UpstreamTrace) -> list[tuple[Reference, StoredState]]:
        """The resources of a page; none where the search fails, so that each is asked for by itself."""
        found = []
        try:
            bundle = read_bundle(await self._server.fetch(request, trace))
        except (MalformedResourceError, RequestRefused):
            return []
        for entry in bundle.entry:
            address = None if entry.resource is None else read_type_and_id(entry.resource)
            try:
                state = read_entry_state(entry)
            except MalformedResourceError:
                continue
            if address is not None and state is not None:
                found.append((Reference(*address), state))
        return found


def _read_at_once(body: bytes, reference: Reference) -> StoredState | None:
    """The state in a body that is its own encoding, so that it has no other meaning; None for every other body."""
    try:
        resource = orjson.loads(body)
        if orjson.dumps(resource) != body or may_hold_resources(body, 1):
            return None
    except (ValueError, TypeError):
        return None
    if not isinstance(resource, dict):
        return None
    if (resource.get("resourceType"), resource.get("id")) != (reference.resource_type, reference.id):
        return None
    meta = {"meta": msgspec.Raw(orjson.dumps(resource["meta"]))} if "meta" in resource else {}
    return StoredState(resource, body, read_version(meta))


def read_state(members: Members, text: bytes) -> StoredState:
    """The state of an opened resource. Raises `MalformedResourceError` if a member has more than one meaning."""
    return StoredState(_decode(members, text), text, read_version(members))


def _decode(members: Members, text: bytes) -> Mapping[str, Any]:
    """The whole resource: at once if it is its own encoding, so that it has no other meaning; else by its members."""
    try:
        resource: Mapping[str, Any] = orjson.loads(text)
        if orjson.dumps(resource) == text:
            return resource
    except (ValueError, TypeError):
        pass
    return decode_members(members, members)


def read_entry_state(entry: BundleEntry) -> StoredState | None:
    """The state of a match. Raises `MalformedResourceError`."""
    members = entry.resource
    return None if members is None else read_state(members, _ENCODER.encode(members))
