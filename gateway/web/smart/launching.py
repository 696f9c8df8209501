"""Starting an app from an EHR: the neutral `POST /launch`, which the other doors stand on (checklist 1.6)."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.fhir.reference import parse_reference
from gateway.oauth.authorization import User
from gateway.oauth.client import Client
from gateway.oauth.launch_context import ContextError, LaunchContext, read_context
from gateway.oauth.redirect_uri import with_parameters
from gateway.policy.claims import USER_TYPES
from gateway.storage.handles import Kind, new_handle
from gateway.storage.launches import Launch, Opening
from gateway.telemetry.event import EventKind
from gateway.web.answer import Refused
from gateway.web.smart.parts import LauncherAccount, SmartParts
from gateway.web.smart.requests import BodyTooLargeError, json_answer, media_type, read_body
from gateway.web.smart.tries import TooManyTriesError, Tries

# A launcher that vouches for its user says who sits there now, not who sat there some minutes ago (authorization.md).
VOUCHED_SECONDS = 60
_CODES = {400: "invalid", 401: "login", 403: "forbidden", 404: "not-found", 429: "throttled", 503: "transient"}


# What the app is told in place of a handle that lasts so many seconds.
Naming = Callable[[str, int], str]


def _itself(handle: str, _: int) -> str:
    return handle


class LaunchError(Exception):
    """A launch that is not made; `problems` are plain sentences for the launcher's developer."""

    def __init__(self, status: int, *problems: str) -> None:
        super().__init__(" ".join(problems))
        self.status = status
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Launched:
    """A launch that waits: where to open the app, and with which handle."""

    launch_uri: str
    handle: str
    location: str


class Launching:
    """Makes launches, whoever asks for them."""

    def __init__(self, parts: SmartParts) -> None:
        self._parts = parts
        self._tries = Tries(parts.remembered.attempts)

    async def make(
        self,
        client: Client,
        context: LaunchContext,
        *,
        launcher: str,
        user: User | None,
        vouched: bool = False,
        launch_uri: str | None = None,
        named: Naming = _itself,
    ) -> Launched:
        """Check the launch and remember it under what `named` makes of its handle. Raises `LaunchError`."""
        uri = launch_uri or next(iter(client.launch_uris), None)
        if uri is None or uri not in client.launch_uris:
            raise LaunchError(400, "The app has no such launch URI registered.")
        await self._check_context(context, user)
        launch = Launch(
            client_id=client.client_id,
            context=context,
            launcher=launcher,
            launched_at=self._parts.clock(),
            user=user,
            vouched=vouched and user is not None,
        )
        lifetime = VOUCHED_SECONDS if launch.vouched else self._parts.spans.launch
        handle = named(new_handle(Kind.LAUNCH), lifetime)
        await self._parts.remembered.launches.put(handle, launch, lifetime)
        self._parts.tell(
            EventKind.LAUNCHED,
            client_id=client.client_id,
            subject=user.subject if user is not None else None,
            patient=context.patient,
            reason=launcher,
        )
        location = with_parameters(uri, [("iss", self._parts.base), ("launch", handle)])
        if launch.vouched:
            location = await self._past_us(Opening(handle, location), lifetime)
        return Launched(uri, handle, location)

    async def _past_us(self, opening: Opening, lifetime: int) -> str:
        """An address of ours that leads to the app. It shows which browser is that of the user who is vouched for.

        The app is told the handle, and must not pass for its user with it.
        """
        name = new_handle(Kind.OPENING)
        await self._parts.remembered.launches.put_opening(name, opening, lifetime)
        return f"{self._parts.issuer}/launch/{name}"

    async def _check_context(self, context: LaunchContext, user: User | None) -> None:
        """The patient is there, and the visit is that patient's (edge case 43), as the user may see them."""
        try:
            if context.patient is not None and await self._parts.directory.patient(user, context.patient) is None:
                raise LaunchError(400, "The patient of the launch is not on the FHIR server, or not for this user.")
            if context.encounter is None:
                return
            owner = await self._parts.directory.patient_of_encounter(user, context.encounter)
        except Refused as refused:
            raise LaunchError(503, "The FHIR server does not answer at the moment.") from refused
        if owner is None or owner != context.patient:
            raise LaunchError(400, "The encounter of the launch is not that patient's.")

    async def account(self, request: Request) -> LauncherAccount | None:
        """The launcher that proves itself by HTTP Basic. Raises `LaunchError` after too many wrong secrets."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        account = self._parts.launchers.get(name)
        known = account.secret_digest if account is not None else None
        try:
            right = await self._tries.is_right(f"launcher:{name}", secret, known, request)
        except TooManyTriesError as error:
            raise LaunchError(429, "Too many wrong secrets. Please wait a minute.") from error
        return account if right else None

    async def user(self, told: object, account: LauncherAccount) -> User | None:
        """The user that the launcher names: one who signs in here by that name, or a member told in full."""
        if told is None:
            return None
        if isinstance(told, str) and _is_name(told):
            known = await self._parts.users.find(told)
            return known or User(f"{account.client_id}|{told}", told, provider=account.client_id)
        if isinstance(told, Mapping):
            subject, name, fhir_user = told.get("subject"), told.get("name"), told.get("fhirUser")
            if _is_name(subject) and (name is None or _is_name(name)):
                own = None if fhir_user is None else self._own_resource(fhir_user)
                return User(f"{account.client_id}|{subject}", name or subject, own, account.client_id)
        raise LaunchError(400, "user must be a user name, or an object with subject, name and fhirUser.")

    def _own_resource(self, fhir_user: object) -> str:
        """The user's own resource, relative to our base. Raises `LaunchError`."""
        parsed = parse_reference(fhir_user, (self._parts.base,)) if isinstance(fhir_user, str) else None
        if parsed is None or parsed.resource_type not in USER_TYPES:
            raise LaunchError(400, "user.fhirUser must name a Patient, Practitioner or other person served here.")
        return f"{parsed.resource_type}/{parsed.id}"


def _is_name(value: object) -> TypeGuard[str]:
    """Short enough for a `sub` with the launcher's name before it (ID-7: at most 255 characters)."""
    return isinstance(value, str) and 0 < len(value) <= 150


class LaunchEndpoint:
    """`POST /launch`, JSON, for configured launchers."""

    def __init__(self, parts: SmartParts, launching: Launching) -> None:
        self._parts = parts
        self._launching = launching

    async def answer(self, request: Request) -> Response:
        """The address to open, with the handle in it; 401, or 400 with every problem."""
        try:
            account = await self._launching.account(request)
            if account is None:
                return json_answer(
                    {"error": "invalid_client", "problems": ["The launcher or its secret is not right."]},
                    status=401,
                    headers={"www-authenticate": 'Basic realm="launch", charset="UTF-8"'},
                )
            launched = await self._make(await _json(request), account)
        except LaunchError as error:
            return json_answer({"error": "invalid_request", "problems": list(error.problems)}, status=error.status)
        return json_answer(
            {"launch": launched.handle, "iss": self._parts.base, "launch_uri": launched.launch_uri,
             "location": launched.location},
            status=201,
        )  # fmt: skip

    async def _make(self, body: Mapping[str, Any], account: LauncherAccount) -> Launched:
        unknown = sorted(set(body) - {"client_id", "launch_uri", "user", "context"})
        if unknown:
            raise LaunchError(400, f"{unknown[0]!r} is no member of a launch: client_id, launch_uri, user, context.")
        client_id, uri, context = body.get("client_id"), body.get("launch_uri"), body.get("context", {})
        client = await self._parts.clients.find(client_id) if isinstance(client_id, str) else None
        if client is None:
            raise LaunchError(400, "client_id names no registered app.")
        if not isinstance(context, dict) or not (uri is None or isinstance(uri, str)):
            raise LaunchError(400, "context must be an object, and launch_uri a text.")
        try:
            read = read_context(context)
        except ContextError as error:
            raise LaunchError(400, *error.problems) from error
        user = await self._launching.user(body.get("user"), account)
        return await self._launching.make(
            client,
            read,
            launcher=account.client_id,
            user=user,
            vouched=account.vouches_for_users,
            launch_uri=uri,
        )


async def _json(request: Request) -> Mapping[str, Any]:
    try:
        if media_type(request) != "application/json":
            raise LaunchError(400, "The body must be application/json.")
        body = orjson.loads(await read_body(request))
    except (orjson.JSONDecodeError, BodyTooLargeError) as error:
        raise LaunchError(400, "The body is no JSON, or too large.") from error
    if not isinstance(body, dict):
        raise LaunchError(400, "The body must be a JSON object.")
    return body


def outcome(status: int, text: str) -> Response:
    """A problem as an OperationOutcome, for the doors below the FHIR base."""
    issue = {"severity": "error", "code": _CODES[status], "diagnostics": text}
    return Response(
        orjson.dumps({"resourceType": "OperationOutcome", "issue": [issue]}),
        status,
        media_type="application/fhir+json",
        headers={"cache-control": "no-store"},
    )
