"""Lock three: every resource that comes back is judged by the permission it was asked under (enforcement.md 1).

What cannot be judged is dropped. Nothing here trusts the server: not its `search.mode`, not its `fullUrl`, not that it
answered what was asked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.fhir.bundle import Bundle, Entry, EntryRequest, EntryResponse, Search
from gateway.fhir.operation_outcome import encode_outcome, operation_outcome
from gateway.fhir.reference import Reference, parse_reference
from gateway.fhir.resource import (
    MalformedResourceError,
    Members,
    address_in,
    decode_member,
    is_outcome,
    nested_resources,
    open_resource,
    pick,
    read_resource,
)
from gateway.policy.decision import KeepMatches, KeepResource, KeepVersions
from gateway.policy.grant import Grant
from gateway.policy.permission import Member, Permission, holds_no_stranger

# They carry other resources whole, so that each of those is judged by itself (leak_20).
_CARRIERS = frozenset({"Bundle", "Parameters"})
_UNREADABLE = "unreadable"
_NO_BYTES = msgspec.Raw()
_MATCH, _INCLUDE, _OUTCOME = Search("match"), Search("include"), Search("outcome")
# A grant may be kept by the thousand, so each remembers little: the records of one page repeat a few owners.
_REMEMBERED = 64
_LONGEST_KEY = 1024
_HISTORY_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_STATUS = re.compile(r"[1-5]\d\d")
_ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]{0,64}"')
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{8,18}(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class Targets:
    """A Provenance that is visible if one of these is (enforcement.md 8)."""

    references: tuple[Reference, ...]


Judgement = bool | Targets


def judge(members: Members, permission: Permission, grant: Grant) -> Judgement:
    """Whether the resource may be shown under `permission`; `Targets` where that hangs on other resources.

    Raises `MalformedResourceError` where a member that the check looks at has more than one meaning.
    """
    if grant.unlimited:
        return True
    resource_type = permission.resource_type
    if resource_type in _CARRIERS or resource_type == "Provenance":
        return _judge_closely(members, permission, grant)
    # Entries of one answer repeat the members that decide (the same subject, the same category), so most of them are
    # judged by a look-up. Its key is every byte that the check would look at, as the inside of a JSON array: no value
    # goes on beyond a comma, and none is empty, so that two different rows of members never make the same key.
    key = b",".join([members.get(name, _NO_BYTES) for name in permission.deciding])
    known = permission.remembered.get(key)
    if known is None:
        known = permission.permits(pick(members, permission.elements))
        if len(permission.remembered) >= _REMEMBERED:
            permission.remembered.clear()
        if len(key) <= _LONGEST_KEY:
            permission.remembered[key] = known
    return known


def _judge_closely(members: Members, permission: Permission, grant: Grant) -> Judgement:
    if permission.permits(pick(members, permission.elements)):
        return permission.resource_type not in _CARRIERS or _carries_only_visible(members, grant)
    return _targets(members, permission) if permission.resource_type == "Provenance" else False


def _carries_only_visible(members: Members, grant: Grant) -> bool:
    for raw in members.values():
        for nested in nested_resources([decode_member(raw)]):
            nested_type = nested["resourceType"]
            if not isinstance(nested_type, str) or not grant.visible(nested_type).permits(nested):
                return False
    return True


def _targets(members: Members, permission: Permission) -> Judgement:
    """The targets of a Provenance, if a unit would permit it but for its membership and no stranger is among them."""
    names = permission.elements | {"target"}
    resource = pick(members, names)
    if resource.get("resourceType") != "Provenance":
        return False
    for unit in permission.units:
        extent = unit.extent
        if not isinstance(extent, Member) or not all(one.matches(resource) for one in unit.criteria):
            continue
        references = _references(resource.get("target"), extent.rules.bases)
        strangers = {
            one.id for one in references if one.resource_type == extent.compartments.compartment_type
        } - extent.compartments.ids
        if (
            references
            and not strangers
            and holds_no_stranger(resource.get("contained"), extent.compartments, extent.rules)
        ):
            return Targets(references)
    return False


def _references(value: Any, bases: Sequence[str]) -> tuple[Reference, ...]:
    found = []
    for one in value if isinstance(value, list) else ():
        text = one.get("reference") if isinstance(one, dict) else None
        reference = parse_reference(text, bases) if isinstance(text, str) else None
        if reference is not None:
            found.append(reference)
    return tuple(found)


def judge_resource(body: bytes, keep: KeepResource) -> tuple[bytes, Judgement]:
    """The resource that a read brought, as it would leave, and whether it may.

    Raises `MalformedResourceError`.
    """
    members, text = read_resource(body)
    if address_in(members) != (keep.reference.resource_type, keep.reference.id):
        return text, False
    return text, judge(members, keep.permission, keep.grant)


@dataclass(slots=True)
class Verdict:
    """What is kept of a Bundle, in order, and what is dropped, by type.

    `pending` are Provenances by their place in `kept`, which is None there until they are settled. `missed` are those
    dropped that the server did not call includes: narrowing should have kept them away.
    """

    kept: list[Entry | None] = field(default_factory=list)
    pending: dict[int, tuple[Entry, Targets]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)

    def drop(self, resource_type: str, *, included: bool = False) -> None:
        """Count one entry that does not leave."""
        self.dropped[resource_type] = self.dropped.get(resource_type, 0) + 1
        if not included:
            self.missed[resource_type] = self.missed.get(resource_type, 0) + 1

    def add(self, other: "Verdict") -> None:
        """Count what was dropped of another page as well."""
        for mine, theirs in ((self.dropped, other.dropped), (self.missed, other.missed)):
            for resource_type, count in theirs.items():
                mine[resource_type] = mine.get(resource_type, 0) + count

    def judged(self, entry: Entry, judgement: Judgement, resource_type: str) -> None:
        """Note one judgement."""
        if judgement is True:
            self.kept.append(entry)
        elif judgement is False:
            self.drop(resource_type)
        else:
            self.pending[len(self.kept)] = (entry, judgement)
            self.kept.append(None)


def judge_bundle(bundle: Bundle, keep: KeepMatches | KeepVersions) -> Verdict:
    """Judge every entry of a searchset or a history. Kept entries are given the addresses and modes that we vouch for.

    An entry whose deciding members cannot be read is dropped and counted as `unreadable`; the rest of the page stands.
    """
    verdict = Verdict()
    judge_entry = _judge_found if isinstance(keep, KeepMatches) else _judge_version
    for entry in bundle.entry:
        try:
            judge_entry(entry, keep, verdict)  # type: ignore[arg-type]  # each takes the kind of keep it was chosen for
        except MalformedResourceError:
            verdict.drop(_UNREADABLE)
    return verdict


def _judge_found(entry: Entry, keep: KeepMatches, verdict: Verdict) -> None:
    members = entry.resource
    address = address_in(members) if members is not None else None
    if members is None or address is None:
        if members is None or not is_outcome(members):
            verdict.drop(_UNREADABLE)
        return
    resource_type, resource_id = address
    mode = entry.search.mode if entry.search is not None else None
    if mode == "outcome" or resource_type == "OperationOutcome":
        # Its text may quote what it should not (leak_28); what we left out is told in an outcome of our own.
        return
    grant, permission = keep.grant, keep.match
    if permission is None:
        permission = grant.find(resource_type)
        if keep.types is not None and resource_type not in keep.types:
            mode = "include"
    if mode == "include" or permission.resource_type != resource_type:
        permission, entry.search = grant.visible(resource_type), _INCLUDE
    elif keep.ids is not None and resource_id not in keep.ids:
        verdict.drop(resource_type)
        return
    else:
        entry.search = _MATCH
    judgement = judge(members, permission, grant)
    if judgement is False:
        verdict.drop(resource_type, included=mode == "include")
        return
    entry.fullUrl = f"{grant.rules.public_base}/{resource_type}/{resource_id}"
    entry.request = entry.response = None
    verdict.judged(entry, judgement, resource_type)


def _judge_version(entry: Entry, keep: KeepVersions, verdict: Verdict) -> None:
    members = entry.resource
    if members is None:
        _judge_deletion(entry, keep, verdict)
        return
    named = address_in(members)
    address = Reference(*named) if named is not None else None
    if address is None or not _belongs(address, keep):
        verdict.drop(_UNREADABLE if address is None else address.resource_type)
        return
    of_type = keep.grant.find if keep.instance is None else keep.grant.read
    method = entry.request.method if entry.request is not None else "PUT"
    _label_version(entry, address, method if method in _HISTORY_METHODS else "PUT", keep.grant)
    verdict.judged(entry, judge(members, of_type(address.resource_type), keep.grant), address.resource_type)


def _belongs(address: Reference, keep: KeepVersions) -> bool:
    if keep.instance is not None:
        return address == keep.instance
    return keep.resource_type is None or address.resource_type == keep.resource_type


def _judge_deletion(entry: Entry, keep: KeepVersions, verdict: Verdict) -> None:
    """A version without a resource tells only that something was deleted (enforcement.md 8)."""
    address = keep.instance or _named_in(entry, keep.grant)
    shown = address is not None and (
        keep.instance is not None
        or (_belongs(address, keep) and (keep.grant.unlimited or keep.grant.find(address.resource_type).unlimited))
    )
    if address is None or not shown:
        verdict.drop(_UNREADABLE if address is None else address.resource_type)
        return
    _label_version(entry, address, "DELETE", keep.grant)
    verdict.judged(entry, True, address.resource_type)


def _named_in(entry: Entry, grant: Grant) -> Reference | None:
    named = parse_reference(entry.fullUrl or "", grant.rules.bases)
    return None if named is None else Reference(named.resource_type, named.id)


def _label_version(entry: Entry, address: Reference, method: str, grant: Grant) -> None:
    entry.fullUrl = f"{grant.rules.public_base}/{address}"
    entry.search = None
    entry.request = EntryRequest(method, str(address))
    entry.response = _response(entry.response)


def _response(response: EntryResponse | None) -> EntryResponse:
    """Only what has the form of a status, an ETag and an instant: nothing else travels in a response."""
    if response is None:
        return EntryResponse(status="200")
    status = _STATUS.match(response.status or "")
    return EntryResponse(
        status=status[0] if status else "200",
        etag=response.etag if _ETAG.fullmatch(response.etag or "") else None,
        lastModified=response.lastModified if _INSTANT.fullmatch(response.lastModified or "") else None,
    )


def outcome_entry(left_out: Sequence[str]) -> Entry:
    """The entry that says what was asked and left out because no scope reaches it."""
    text = "Left out, because the access token does not reach it: " + ", ".join(left_out)
    outcome = operation_outcome(code="incomplete", reason="left_out", sentence=text, severity="information")
    return Entry(resource=open_resource(encode_outcome(outcome)), search=_OUTCOME)
