"""The writes of a transaction on their way from the entries to one Bundle, and the names that they refer to."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FhirResponse
from gateway.fhir.reference import Reference
from gateway.fhir.request.bundle_body import locate_entry
from gateway.fhir.request.bundle_names import UnknownNameError, resolve_names
from gateway.fhir.request.content import JsonPatch, WrittenContent, WrittenResource
from gateway.fhir.request.interaction import Write, WriteKind
from gateway.fhir.request_error import RequestError
from gateway.fhir.resources.resource import MalformedResourceError
from gateway.policy.decision_types import AllowWrite, Deny, SearchFilter, UpstreamWrite
from gateway.policy.reasons import Reason
from gateway.policy.writing.judged_write import JudgedWrite
from gateway.policy.writing.new_state import NewState, prepare_content
from gateway.policy.writing.stored_state import StoredState
from gateway.proxy.incoming_request import refuse_request
from gateway.proxy.request_context import RequestContext

_ENCODER = msgspec.json.Encoder()
# A reference to a new resource: its type, the token of the transaction, and the index of its entry.
_STAND_IN = re.compile(rb'"[A-Za-z]+/([0-9a-f]{32})-([0-9]+)"')


@dataclass(slots=True)
class PlannedWrite:
    """One write of a transaction.

    `content` is the client's, and `resolved` has references in place of names, of which `new` is the state that is
    judged. `name` is the client's name for the resource, or empty. `stored` is the state before. `response` is set
    where nothing has to be sent.
    """

    index: int
    allow: AllowWrite
    content: WrittenContent | None
    context: RequestContext
    name: str = ""
    resolved: WrittenContent | None = None
    new: NewState | JsonPatch | None = None
    stored: StoredState | None = None
    judged: JudgedWrite | None = None
    request: UpstreamWrite | None = None
    response: FhirResponse | RequestRefused | None = None

    @property
    def reference(self) -> Reference | None:
        """The resource, if its id is known."""
        write = self.allow.write
        return None if write.id is None else Reference(write.resource_type, write.id)

    @property
    def is_conditional_create(self) -> bool:
        """Whether it is sent as a create under a condition: of an update as well, whose condition nothing met.

        Not an update with a name: the server would let others refer to what it finds, which was not judged for that.
        """
        is_create = self.allow.write.kind is WriteKind.CREATE and bool(self.allow.if_none_exist)
        return is_create and not (self.is_update and self.name)

    @property
    def is_update(self) -> bool:
        """Whether the client asked for an update, whatever it came to."""
        interaction = self.context.interaction
        return isinstance(interaction, Write) and interaction.kind is WriteKind.UPDATE


class EntryNames:
    """What stands for the names while the writes are judged.

    A new resource has an id that no client can know, so that no body can name it but by its name.
    """

    def __init__(self, writes: Sequence[PlannedWrite]) -> None:
        self._writes = writes
        self._by_index = {write.index: write for write in writes}
        self._token = secrets.token_hex(16)

    def resolve(self) -> None:
        """Set what is judged of each write.

        Raises `RequestRefused` for a name that no entry has, and if nothing stored could make a content acceptable.
        """
        names = self.references
        for write in self._writes:
            with at_entry(write.index):
                try:
                    resolved = resolve_names(write.content, names)
                except UnknownNameError as error:
                    raise RequestRefused(Reason.REFERENCE_REFUSED, "urn") from error
                if resolved is not write.resolved:
                    write.resolved, write.new = resolved, _prepare(write.allow, resolved)

    @property
    def references(self) -> dict[str, str]:
        """What stands for each name."""
        return {write.name: str(self.find(write)) for write in self._writes if write.name}

    def find(self, write: PlannedWrite) -> Reference:
        """The resource of a write."""
        known = write.reference
        return known or Reference(write.allow.write.resource_type, f"{self._token}-{write.index}")

    def may_mean_found(self, write: PlannedWrite) -> bool:
        """Whether the name of a create may come to mean what the server finds, if somebody else is quicker.

        Other entries were judged to refer to what is created. They may refer to what is found as well if the scopes
        that find it and those that write all have one reach.
        """
        condition = write.allow.condition
        if not write.name or condition is None:
            return True
        found = condition.response_filter
        permissions = [one.allow.permission for one in self._writes]
        if isinstance(found, SearchFilter) and found.match_permission is not None:
            permissions.append(found.match_permission)
        return len({unit.reach for permission in permissions for unit in permission.units}) == 1

    def list_records(self) -> dict[Reference, Mapping[str, Any] | None]:
        """The resources of the Bundle to which others may refer: as stored, or as they are to be created."""
        records: dict[Reference, Mapping[str, Any] | None] = {}
        for write in self._writes:
            if write.stored is not None and write.response is None:
                records[self.find(write)] = write.stored.resource
            elif isinstance(write.new, NewState) and write.response is None:
                records[self.find(write)] = write.new.resource
        return records

    def restore(self, body: bytes) -> bytes:
        """The body with the names of new resources, which the FHIR server resolves."""
        return _STAND_IN.sub(self._restore_name, body) if self._token.encode() in body else body

    def _restore_name(self, found: re.Match[bytes]) -> bytes:
        if found[1] != self._token.encode():
            return found[0]
        write = self._by_index[int(found[2])]
        return b'"%b"' % write.name.encode() if write.name and write.reference is None else found[0]


def _prepare(allow: AllowWrite, content: WrittenContent | None) -> NewState | JsonPatch | None:
    new = prepare_content(allow, content) if isinstance(content, WrittenResource) else content
    if isinstance(new, Deny):
        raise RequestRefused.from_decision(new)
    return new


# A class, because a generator takes three times as long, and every entry passes several of them.
class at_entry:  # noqa: N801  # it is used like a function
    """Says of every refusal which entry it is about."""

    __slots__ = ("_index",)

    def __init__(self, index: int) -> None:
        self._index = index

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raises `RequestRefused` for an error of the entry."""
        match error:
            case RequestRefused():
                error.location = locate_entry(self._index)
            case RequestError():
                raise self._locate(refuse_request(error)) from error
            case MalformedResourceError():
                raise self._locate(RequestRefused(Reason.UPSTREAM_MALFORMED)) from error

    def _locate(self, refusal: RequestRefused) -> RequestRefused:
        refusal.location = locate_entry(self._index)
        return refusal


def refuse_overlaps(writes: Sequence[PlannedWrite]) -> None:
    """Raises `RequestRefused` if two entries are about one resource (R4 http.html 3.1.0.11.2)."""
    seen = set[Reference]()
    for write in writes:
        reference = write.reference
        if reference is not None and reference in seen:
            with at_entry(write.index):
                raise RequestRefused(Reason.BUNDLE_MALFORMED, hint="Another entry is about the same resource.")
        if reference is not None:
            seen.add(reference)


def encode_transaction(writes: Sequence[PlannedWrite], names: EntryNames) -> bytes:
    """The Bundle for the FHIR server: its addresses and conditions are ours alone (hapi.md B7)."""
    entries = [_build_entry(write, write.request, names) for write in writes if write.request is not None]
    return _ENCODER.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _build_entry(write: PlannedWrite, sent: UpstreamWrite, names: EntryNames) -> dict[str, Any]:
    path = sent.path.removeprefix("/")
    request = {"method": sent.method, "url": f"{path}?{sent.query}" if sent.query else path}
    if sent.if_match is not None:
        request["ifMatch"] = f'W/"{sent.if_match}"'
    if sent.if_none_match:
        request["ifNoneMatch"] = "*"
    if write.is_conditional_create and names.may_mean_found(write):
        request["ifNoneExist"] = write.allow.if_none_exist
    if sent.method == "DELETE":
        return {"request": request}
    entry: dict[str, Any] = {"resource": msgspec.Raw(names.restore(sent.body)), "request": request}
    return {"fullUrl": write.name, **entry} if write.name and sent.method == "POST" else entry
