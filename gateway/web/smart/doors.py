"""The doors that users of Medplum and Aidbox know, thin adapters over the neutral launch (authorization.md)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.oauth.authorization import User
from gateway.oauth.launch_context import ContextError, LaunchContext, read_context
from gateway.oauth.parameters import MalformedParametersError, Parameters, read_form
from gateway.web.answer import Refused
from gateway.web.smart.browser import Cookies
from gateway.web.smart.launching import Launched, LaunchError, Launching, outcome
from gateway.web.smart.parts import LauncherAccount, SmartParts
from gateway.web.smart.requests import BodyTooLargeError, json_answer, media_type, read_body, see_other

AIDBOX_METHOD = "aidbox.smart/get-launch-uri"


class MedplumDoor:
    """`GET` and `POST [base]/ClientApplication/{id}/$smart-launch`, for a launcher or a signed-in user."""

    def __init__(self, parts: SmartParts, launching: Launching, cookies: Cookies) -> None:
        self._parts = parts
        self._launching = launching
        self._cookies = cookies

    async def answer(self, request: Request) -> Response:
        """302 to the app's launch URI with `iss` and `launch`."""
        try:
            account = await self._launching.account(request)
        except LaunchError as error:
            return outcome(error.status, str(error))
        user = await self._user(request)
        if account is None and user is not None and _is_of_another_site(request, self._parts.issuer):
            # Whoever clicks a link there, or is only sent here, chose neither the app nor the patient.
            return outcome(403, "Another site cannot open an app for who is signed in here; the app gallery can.")
        if account is None and user is None:
            response = outcome(401, "Sign in, or authenticate as a launcher by HTTP Basic.")
            response.headers["www-authenticate"] = 'Basic realm="launch", charset="UTF-8"'
            return response
        try:
            launched = await self._make(request, account, user)
        except LaunchError as error:
            return outcome(error.status, str(error))
        response = see_other(launched.location)
        response.status_code = 302
        return response

    async def _make(self, request: Request, account: LauncherAccount | None, user: User | None) -> Launched:
        client_id = request.path_params.get("client_id", "")
        if not client_id:
            raise LaunchError(400, "The address names no ClientApplication.")
        client = await self._parts.clients.find(client_id)
        if client is None:
            raise LaunchError(404, "No ClientApplication of this id is registered.")
        if not client.launch_uris:
            raise LaunchError(400, "The ClientApplication has no launchUri.")
        parameters = await _parameters(request)
        patient, encounter = parameters.get("patient"), parameters.get("encounter")
        if patient is not None and encounter is not None:
            raise LaunchError(400, "Only one of patient and encounter may be given.")
        context = await self._context(patient, encounter, user)
        launcher = account.client_id if account is not None else "gallery"
        return await self._launching.make(client, context, launcher=launcher, user=user)

    async def _context(self, patient: str | None, encounter: str | None, user: User | None) -> LaunchContext:
        """An encounter brings its patient."""
        if encounter is None:
            return LaunchContext(patient=patient)
        try:
            owner = await self._parts.directory.patient_of_encounter(user, encounter)
        except Refused as refused:
            raise LaunchError(503, "The FHIR server does not answer at the moment.") from refused
        return LaunchContext(patient=owner, encounter=encounter)

    async def _user(self, request: Request) -> User | None:
        session = await self._cookies.signed_in(request, self._parts.remembered.sessions)
        return None if session is None else session.user


def _is_of_another_site(request: Request, issuer: str) -> bool:
    """Whether a page of another origin sent the browser here, as the browser says it; an old one says less.

    Sources: Fetch Metadata 2.1 (`Sec-Fetch-Site`), RFC 6454 7 (`Origin`).
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    ours = urlsplit(issuer)
    return request.headers.get("origin", f"{ours.scheme}://{ours.netloc}") != f"{ours.scheme}://{ours.netloc}"


async def _parameters(request: Request) -> Parameters:
    """Query and form together; FHIR Parameters as JSON are read as the same names."""
    try:
        if request.method == "GET":
            return read_form(request.scope["query_string"])
        body = await read_body(request)
        if media_type(request) in {"application/json", "application/fhir+json"} and body:
            return Parameters(_fhir_parameters(orjson.loads(body)))
        return read_form(request.scope["query_string"], body)
    except (MalformedParametersError, BodyTooLargeError, orjson.JSONDecodeError) as error:
        raise LaunchError(400, "The parameters cannot be read.") from error


def _fhir_parameters(body: Any) -> dict[str, str]:
    listed = body.get("parameter") if isinstance(body, dict) else None
    found: dict[str, str] = {}
    for one in listed if isinstance(listed, list) else ():
        name = one.get("name") if isinstance(one, dict) else None
        values = [value for key, value in one.items() if key.startswith("value")] if isinstance(name, str) else []
        if isinstance(name, str) and values and isinstance(values[0], str):
            found[name] = values[0]
    return found


class AidboxDoor:
    """`POST /rpc` with the method `aidbox.smart/get-launch-uri`: the launch handle is a signed JWT, used once."""

    def __init__(self, parts: SmartParts, launching: Launching) -> None:
        self._parts = parts
        self._launching = launching

    async def answer(self, request: Request) -> Response:
        """The result, or the error, as Aidbox writes them."""
        try:
            account = await self._launching.account(request)
            if account is None:
                challenge = {"www-authenticate": 'Basic realm="rpc", charset="UTF-8"'}
                return json_answer({"error": {"message": "Access denied"}}, status=401, headers=challenge)
            body = await self._body(request)
            return json_answer({"result": await self._result(body, account)})
        except LaunchError as error:
            return json_answer({"error": {"message": str(error)}}, status=error.status)

    async def _body(self, request: Request) -> Mapping[str, Any]:
        try:
            body = orjson.loads(await read_body(request))
        except (orjson.JSONDecodeError, BodyTooLargeError) as error:
            raise LaunchError(422, "The body is no JSON.") from error
        params = body.get("params") if isinstance(body, dict) else None
        if not isinstance(body, dict) or body.get("method") != AIDBOX_METHOD or not isinstance(params, dict):
            raise LaunchError(422, f"The only method here is {AIDBOX_METHOD}, with params.")
        return params

    async def _result(self, params: Mapping[str, Any], account: LauncherAccount) -> dict[str, str]:
        client_id, iss, ctx = params.get("client"), params.get("iss", self._parts.base), params.get("ctx", {})
        client = await self._parts.clients.find(client_id) if isinstance(client_id, str) else None
        if client is None or not client.launch_uris:
            raise LaunchError(422, "params.client names no app with a launch URI.")
        if iss != self._parts.base or not isinstance(ctx, dict):
            raise LaunchError(422, "params.iss must be the FHIR base that is served here, and params.ctx an object.")
        try:
            context = read_context(ctx)
        except ContextError as error:
            raise LaunchError(422, *error.problems) from error
        user = await self._launching.user(params.get("user"), account)
        launched = await self._launching.make(
            client,
            context,
            launcher=account.client_id,
            user=user,
            vouched=account.vouches_for_users,
            named=lambda handle, lifetime: self._signed(handle, lifetime, client.client_id, ctx, user),
        )
        return {
            "uri": launched.location,
            "launch": launched.handle,
            "iss": self._parts.base,
            "launch-uri": launched.launch_uri,
        }

    def _signed(self, handle: str, lifetime: int, client_id: str, ctx: Mapping[str, Any], user: User | None) -> str:
        """The launch under a signed name in place of the plain handle: still kept here, still used once."""
        now = self._parts.clock()
        claims = {
            "iss": self._parts.issuer,
            "aud": self._parts.issuer,
            "client": client_id,
            "user": user.subject if user is not None else None,
            "ctx": dict(ctx),
            "exp": int(now) + lifetime,
            "jti": handle,
        }
        return self._parts.ring.keys.sign(claims, now)
