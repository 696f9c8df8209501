"""A page of a search or a history, judged entry by entry.

Nothing here trusts the server: not its `search.mode`, not its `fullUrl`, not that it answered what was asked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.fhir.bundle import Bundle, Entry, EntryRequest, EntryResponse, Search
from gateway.fhir.operation_outcome import encode_outcome, operation_outcome
from gateway.fhir.reference import Reference, parse_reference
from gateway.fhir.resource import MalformedResourceError, address_in, id_in, is_outcome, open_resource
from gateway.policy.decision import KeepMatches, KeepVersions
from gateway.policy.grant import Grant
from gateway.policy.judge import Judgement, Targets, judge, known_to_be_permitted
from gateway.policy.permission import Permission

_UNREADABLE = "unreadable"
_MATCH, _INCLUDE, _OUTCOME = Search("match"), Search("include"), Search("outcome")
_HISTORY_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_STATUS = re.compile(r"[1-5]\d\d")
_ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]{0,64}"')
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{8,18}(Z|[+-]\d\d:\d\d)")


@dataclass(slots=True)
class Verdict:
    """What is kept of a Bundle, in order, and what is dropped, by type.

    `pending` are Provenances by their place in `kept`, which is None there until they are settled. `missed` are those
    dropped that the server did not call includes: narrowing should have kept them away. `includes` says that some
    of those kept or pending came along with the matches.
    """

    kept: list[Entry | None] = field(default_factory=list)
    pending: dict[int, tuple[Entry, Targets]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    includes: bool = False

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


def hides_nothing(keep: KeepMatches | KeepVersions) -> bool:
    """Whether all that an honest server finds may be shown: only then do its total and links tell of nothing else."""
    if keep.grant.unlimited:
        return True
    if isinstance(keep, KeepMatches):
        return keep.exact
    if keep.resource_type is None:
        return False
    of_type = keep.grant.find if keep.instance is None else keep.grant.read
    return of_type(keep.resource_type).unlimited


def judge_bundle(bundle: Bundle, keep: KeepMatches | KeepVersions) -> Verdict:
    """Judge every entry of a searchset or a history. Kept entries are given the addresses and modes that we vouch for.

    An entry whose deciding members cannot be read is dropped and counted as `unreadable`; the rest of the page stands.
    """
    verdict = Verdict()
    usual = _usual_match(keep)
    for entry in bundle.entry:
        if usual is not None and _is_usual(entry, usual, keep.grant):
            verdict.kept.append(entry)
            continue
        try:
            if isinstance(keep, KeepMatches):
                _judge_found(entry, keep, verdict)
            else:
                _judge_version(entry, keep, verdict)
        except MalformedResourceError:
            verdict.drop(_UNREADABLE)
    return verdict


def _usual_match(keep: KeepMatches | KeepVersions) -> Permission | None:
    """The permission by which entries can be kept at a glance: where matches are of one type and no ids are named."""
    return keep.match if isinstance(keep, KeepMatches) and keep.ids is None else None


def _is_usual(entry: Entry, permission: Permission, grant: Grant) -> bool:
    """Whether the entry is a match like one that was permitted before; it then is given its address and mode."""
    members, search = entry.resource, entry.search
    if members is None or (search is not None and search.mode != "match"):
        return False
    if not known_to_be_permitted(members, permission):
        return False
    resource_id = id_in(members)
    if resource_id is None:
        return False
    entry.fullUrl = f"{grant.rules.public_base}/{permission.resource_type}/{resource_id}"
    entry.search = _MATCH
    entry.request = entry.response = None
    return True


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
    verdict.includes = verdict.includes or entry.search is _INCLUDE
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
