"""The requests to the endpoint of app state: searches, creates, updates and deletes of Basic (checklist AS-1..AS-21).

Nothing of it reaches the FHIR server. Read `AppStateAnswers.answer` first.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

import msgspec
import orjson

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FHIR_HEADERS, FhirResponse, fhir_response
from gateway.fhir.app_state.state_codes import StateAddress, StateCodes
from gateway.fhir.app_state.state_resource import (
    check_new_state,
    parse_subject,
    read_state_address,
    with_version,
)
from gateway.fhir.app_state.state_search import read_state_search
from gateway.fhir.request.content import WrittenResource, encode_tree, parse_content
from gateway.fhir.request.interaction import (
    AppStateRequest,
    Capabilities,
    ReturnPreference,
    TypeSearch,
    Write,
    WriteKind,
)
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.policy.app_state import permits_state, refuse_address, refuse_without_scope
from gateway.policy.permission.access import Access
from gateway.policy.permission.grant import Grant
from gateway.policy.reasons import Reason
from gateway.proxy.app_state.app_state_responses import search_response, state_response, statement
from gateway.proxy.incoming_request import IncomingRequest, parse_interaction, read_body, refuse_request
from gateway.scopes.model import Letter
from gateway.storage.app_states import (
    AppStateContentionError,
    AppStateFullError,
    AppStates,
    StoredAppState,
    new_id,
)
from gateway.storage.backends.store import StoreUnavailableError
from gateway.telemetry.request_record import RequestRecord

_LETTERS = {WriteKind.CREATE: Letter.CREATE, WriteKind.UPDATE: Letter.UPDATE, WriteKind.DELETE: Letter.DELETE}


@dataclass(frozen=True, slots=True)
class AppStateEndpoint:
    """Where app state is, and what the endpoint needs. URLs are without trailing slash.

    `find_codes` returns the codes that a client is trusted with. `body_limit` is in bytes.
    """

    base: str
    fhir_base: str
    states: AppStates
    find_codes: Callable[[str], Awaitable[tuple[StateCodes, ...]]]
    body_limit: int


@dataclass(frozen=True, slots=True)
class StateAccess:
    """What decides about state. The grant is shared by the tokens of several apps; the codes are this app's alone."""

    grant: Grant
    codes: tuple[StateCodes, ...]

    def check_address(self, address: StateAddress, letter: Letter) -> None:
        """Raises `RequestRefused` unless the app and a scope may use state at the address."""
        denied = refuse_address(self.grant, self.codes, address, letter)
        if denied is not None:
            raise RequestRefused.from_decision(denied)

    def permits(self, address: StateAddress, letter: Letter, resource: Mapping[str, Any]) -> bool:
        """Whether the app and one scope may use this state."""
        is_refused = refuse_address(self.grant, self.codes, address, letter) is not None
        return not is_refused and permits_state(self.grant, address, letter, resource)


class AppStateAnswers:
    """Answers requests for app state. Only tokens that the gateway's own SMART server issued are accepted (AS-13)."""

    def __init__(self, endpoint: AppStateEndpoint) -> None:
        self._endpoint = endpoint
        self._states = endpoint.states

    async def answer(
        self, request: IncomingRequest, access: Access, grant: Grant, record: RequestRecord
    ) -> FhirResponse:
        """The response, as far as the token, its scopes and the codes of its app permit it. Raises `RequestRefused`."""
        if access.authorization_id is None:
            raise RequestRefused(Reason.TOKEN_ISSUER_UNKNOWN)
        interaction = await self._parse(request)
        record.interaction = AppStateRequest(interaction)
        letter = Letter.SEARCH if isinstance(interaction, TypeSearch) else _LETTERS[interaction.kind]
        denied = refuse_without_scope(grant, letter)
        if denied is not None:
            raise RequestRefused.from_decision(denied)
        try:
            codes = await self._endpoint.find_codes(access.client_id)
            return await self._carry_out(interaction, request, StateAccess(grant, codes), record.arrived_at)
        except RequestError as error:
            raise refuse_request(error) from error
        except StoreUnavailableError as error:
            raise RequestRefused(Reason.APP_STATE_UNAVAILABLE) from error
        except AppStateFullError as error:
            raise RequestRefused(Reason.APP_STATE_FULL) from error
        except AppStateContentionError as error:
            raise RequestRefused(Reason.OVERLOADED) from error

    async def metadata(self, request: IncomingRequest, record: RequestRecord) -> FhirResponse:
        """The CapabilityStatement of the endpoint."""
        record.interaction = parse_interaction(request.method, request.path, request.query, request.headers, b"", {})
        if not isinstance(record.interaction, Capabilities):
            raise RequestRefused(Reason.INTERACTION_NOT_SUPPORTED)
        return fhir_response(statement(self._endpoint.base))

    async def _parse(self, request: IncomingRequest) -> TypeSearch | Write:
        """The interaction, which is one of those that app state has. A DELETE may have a body, which is not read."""
        is_form = request.method == "POST" and request.path.endswith(b"/_search")
        body = await read_body(request.receive, self._endpoint.body_limit) if is_form else b""
        interaction = parse_interaction(request.method, request.path, request.query, request.headers, body, {})
        if isinstance(interaction, TypeSearch) and interaction.resource_type == "Basic":
            return interaction
        if isinstance(interaction, Write) and interaction.resource_type == "Basic" and _is_plain(interaction):
            return interaction
        raise RequestRefused(Reason.INTERACTION_NOT_SUPPORTED, hint="App state is searched, created, updated, deleted.")

    async def _carry_out(
        self, interaction: TypeSearch | Write, request: IncomingRequest, state_access: StateAccess, now: float
    ) -> FhirResponse:
        if isinstance(interaction, TypeSearch):
            return await self._search(interaction, state_access)
        match interaction.kind:
            case WriteKind.CREATE:
                return await self._create(interaction, request, state_access, now)
            case WriteKind.UPDATE:
                return await self._update(interaction, request, state_access, now)
            case WriteKind.DELETE:
                return await self._delete(interaction, state_access)
            case WriteKind.PATCH:
                raise RequestRefused(Reason.INTERACTION_NOT_SUPPORTED)
        assert_never(interaction.kind)

    async def _search(self, search: TypeSearch, state_access: StateAccess) -> FhirResponse:
        address = read_state_search(search, self._endpoint.fhir_base)
        state_access.check_address(address, Letter.SEARCH)
        found = await self._states.find(address.system, address.code, self._subject_text(address))
        visible = [state for state in found if state_access.permits(address, Letter.SEARCH, _content(state))]
        return search_response(self._endpoint.base, address, self._subject_text(address), visible)

    async def _create(
        self, write: Write, request: IncomingRequest, state_access: StateAccess, now: float
    ) -> FhirResponse:
        sent = await self._read_resource(write, request)
        check_new_state(sent.judged)
        address = read_state_address(sent.judged, self._endpoint.fhir_base)
        _check_new(state_access, address, Letter.CREATE, sent)
        subject = self._subject_text(address)
        state_id = new_id(address.system, subject, secrets.token_hex(8))
        content = msgspec.Raw(encode_tree(with_version(sent.tree, state_id, 1, now)))
        state = StoredAppState(state_id, 1, address.system, address.code, subject, content)
        await self._states.create(state)
        return self._written(201, write, state)

    async def _update(
        self, write: Write, request: IncomingRequest, state_access: StateAccess, now: float
    ) -> FhirResponse:
        state_id, version = _checked_version(write)
        sent = await self._read_resource(write, request)
        address = read_state_address(sent.judged, self._endpoint.fhir_base)
        stored = await self._require_stored(state_access, state_id, Letter.UPDATE)
        old = _content(stored)
        if any(old.get(name) != sent.judged.get(name) for name in ("code", "subject")):
            raise RequestRefused(Reason.PRECONDITION_FAILED, hint="Code and subject of state never change.")
        _check_new(state_access, address, Letter.UPDATE, sent)

        def content(new_version: int) -> bytes:
            return encode_tree(with_version(sent.tree, state_id, new_version, now))

        state = await self._states.update(state_id, version, content)
        if state is None:
            raise RequestRefused(Reason.PRECONDITION_FAILED)
        return self._written(200, write, state)

    async def _delete(self, write: Write, state_access: StateAccess) -> FhirResponse:
        state_id, version = _checked_version(write)
        stored = await self._require_stored(state_access, state_id, Letter.DELETE)
        if not await self._states.delete(state_id, version):
            raise RequestRefused(Reason.PRECONDITION_FAILED)
        headers = [header for header in FHIR_HEADERS if header[0] != b"content-type"]
        return FhirResponse(204, Reason.PERMITTED, b"", headers, replaced=_content(stored))

    async def _read_resource(self, write: Write, request: IncomingRequest) -> WrittenResource:
        body = await read_body(request.receive, self._endpoint.body_limit)
        content = parse_content(write, request.headers, body)
        assert isinstance(content, WrittenResource)
        return content

    async def _require_stored(self, state_access: StateAccess, state_id: str, letter: Letter) -> StoredAppState:
        """The stored state. One that is not there, and one that the token may not use, are the same (AS-11)."""
        stored = await self._states.get(state_id)
        if stored is None:
            raise RequestRefused(Reason.PRECONDITION_FAILED)
        subject = parse_subject(stored.subject, self._endpoint.fhir_base) if stored.subject else None
        if stored.subject and subject is None:
            # It was stored under another public_base_url.
            raise RequestRefused(Reason.PRECONDITION_FAILED)
        address = StateAddress(stored.system, stored.code, subject)
        if not state_access.permits(address, letter, _content(stored)):
            raise RequestRefused(Reason.PRECONDITION_FAILED)
        return stored

    def _subject_text(self, address: StateAddress) -> str:
        return "" if address.subject is None else f"{self._endpoint.fhir_base}/{address.subject}"

    def _written(self, status: int, write: Write, state: StoredAppState) -> FhirResponse:
        with_body = write.preference is not ReturnPreference.MINIMAL
        response = state_response(status, self._endpoint.base, state, with_body=with_body)
        # The subject never changes, so that it is also that of what was there before.
        response.replaced = _content(state)
        return response


def _check_new(state_access: StateAccess, address: StateAddress, letter: Letter, content: WrittenResource) -> None:
    """Raises `RequestRefused` unless the state may be stored."""
    state_access.check_address(address, letter)
    if not state_access.permits(address, letter, content.judged):
        raise RequestRefused(Reason.APP_STATE_OUT_OF_REACH)


def _content(state: StoredAppState) -> Mapping[str, Any]:
    content: Mapping[str, Any] = orjson.loads(bytes(state.content))
    return content


def _is_plain(write: Write) -> bool:
    """Whether it is one of the three writes that app state has, and not one of their conditional forms."""
    return write.kind in _LETTERS and write.criteria is None and not write.preconditions.if_none_match


def _checked_version(write: Write) -> tuple[str, int]:
    """The id and the version that the request requires. A version that is none of ours fits no state."""
    if_match = write.preconditions.if_match
    if if_match is None:
        raise RequestError(RequestProblem.PRECONDITION_MISSING, "If-Match")
    if if_match == "*":
        raise RequestError(RequestProblem.PRECONDITION_INVALID, "If-Match", "It names one version, such as the ETag.")
    assert write.id is not None
    is_number = if_match.isascii() and if_match.isdecimal() and len(if_match) < 19 and str(int(if_match)) == if_match
    return write.id, int(if_match) if is_number else 0
