"""Medplum's operation `[base]/ClientApplication/{id}/$smart-launch`, mapped to our launches (authorization.md)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.asgi.refusal import RequestRefused
from gateway.credentials.unverified_token import parse_json_object
from gateway.oauth.authorization import User
from gateway.oauth.launch_context import LaunchContext
from gateway.oauth.parameters import MalformedParametersError, Parameters, collect_parameters, read_form_pairs
from gateway.settings.authorization.smart_server import Launcher
from gateway.smart_server.cookies import Cookies
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.http_messages import FORM_MEDIA_TYPE, BodyTooLargeError, media_type, read_body, see_other
from gateway.smart_server.launch.launch_service import GALLERY, LaunchError, LaunchService, PreparedLaunch

_PARAMETERS = ("patient", "encounter")
_VALUES = frozenset({"valueString", "valueId", "valueCode", "valueUuid"})
# FHIR IssueType by HTTP status.
_ISSUE_CODES = {400: "invalid", 401: "login", 403: "forbidden", 404: "not-found", 429: "throttled", 503: "transient"}


class MedplumLaunch:
    """The operation, by GET and POST, for a launcher or a signed-in user."""

    def __init__(self, dependencies: Dependencies, launches: LaunchService, cookies: Cookies) -> None:
        self._dependencies = dependencies
        self._launches = launches
        self._cookies = cookies

    async def launch(self, request: Request) -> Response:
        """302 to the app's launch URI with `iss` and `launch`."""
        try:
            launcher = await self._launches.authenticate_launcher(request)
        except LaunchError as error:
            return _refusal(error)
        user = await self._signed_in_user(request)
        if launcher is None and user is not None and _is_cross_site(request, self._dependencies.issuer):
            # Cross-site request forgery: the user chose neither the app nor the patient.
            return _operation_outcome(
                403, "Another site cannot open an app for a user who is signed in here. Use the app gallery."
            )
        if launcher is None and user is None:
            response = _operation_outcome(401, "Sign in, or authenticate as a launcher by HTTP Basic.")
            response.headers["www-authenticate"] = 'Basic realm="launch", charset="UTF-8"'
            return response
        try:
            if launcher is None:
                await self._launches.count_launch(request, GALLERY)
            launch = await self._create_launch(request, launcher, user)
        except LaunchError as error:
            return _refusal(error)
        response = see_other(launch.location)
        response.status_code = 302
        return response

    async def _create_launch(self, request: Request, launcher: Launcher | None, user: User | None) -> PreparedLaunch:
        client_id = request.path_params.get("client_id", "")
        if not client_id:
            raise LaunchError(400, "The address names no ClientApplication.")
        client = await self._dependencies.clients.find_enabled(client_id)
        if client is None:
            raise LaunchError(404, "No ClientApplication of this id is registered.")
        if not client.launch_uris:
            raise LaunchError(400, "The ClientApplication has no launchUri.")
        parameters = await _read_parameters(request)
        patient, encounter = parameters.get("patient"), parameters.get("encounter")
        if patient is not None and encounter is not None:
            raise LaunchError(400, "Only one of patient and encounter may be given.")
        context = await self._read_context(patient, encounter, user)
        launcher_id = launcher.client_id if launcher is not None else GALLERY
        return await self._launches.create(client, context, launcher=launcher_id, user=user)

    async def _read_context(self, patient: str | None, encounter: str | None, user: User | None) -> LaunchContext:
        """The launch context. The patient of an encounter comes from the FHIR server."""
        if encounter is None:
            return LaunchContext(patient=patient)
        try:
            owner = await self._dependencies.patient_directory.find_patient_of_encounter(user, encounter)
        except RequestRefused as refused:
            raise LaunchError(503, "The FHIR server does not answer at the moment.") from refused
        return LaunchContext(patient=owner, encounter=encounter)

    async def _signed_in_user(self, request: Request) -> User | None:
        session = await self._cookies.current_session(request, self._dependencies.storage.sessions)
        return None if session is None else session.user


def _is_cross_site(request: Request, issuer: str) -> bool:
    """Whether a page of another origin sent the request. Old browsers send `Origin` alone, and not with every GET.

    Sources: Fetch Metadata 2.1 (`Sec-Fetch-Site`), RFC 6454 7 (`Origin`).
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    parts = urlsplit(issuer)
    gateway_origin = f"{parts.scheme}://{parts.netloc}"
    return request.headers.get("origin", gateway_origin) != gateway_origin


async def _read_parameters(request: Request) -> Parameters:
    """The parameters of the query, and of a form or a FHIR Parameters resource. Raises `LaunchError`."""
    try:
        pairs = read_form_pairs(request.scope["query_string"])
        body = b"" if request.method == "GET" else await read_body(request)
        if body and media_type(request) in {"application/json", "application/fhir+json"}:
            pairs += _read_fhir_parameters(parse_json_object(body))
        elif body and media_type(request) == FORM_MEDIA_TYPE:
            pairs += read_form_pairs(body)
        elif body:
            raise LaunchError(400, "The body must be a form, or FHIR Parameters in JSON.")
        parameters = collect_parameters(pairs)
    except (MalformedParametersError, BodyTooLargeError, ValueError) as error:
        raise LaunchError(400, "The parameters cannot be read.") from error
    repeated = parameters.first_repeated(_PARAMETERS)
    if repeated is not None:
        raise LaunchError(400, f"The parameter {repeated} occurs more than once.")
    return parameters


def _read_fhir_parameters(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The operation's parameters in a Parameters resource. Raises `LaunchError` for what cannot be read."""
    entries = body.get("parameter", [])
    if body.get("resourceType") != "Parameters" or not isinstance(entries, list):
        raise LaunchError(400, "The body must be a Parameters resource.")
    return [(entry["name"], _read_value(entry)) for entry in entries if _is_of_operation(entry)]


def _is_of_operation(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise LaunchError(400, "Each parameter must be an object with a name.")
    return entry["name"] in _PARAMETERS


def _read_value(entry: Mapping[str, Any]) -> str:
    values = [value for name, value in entry.items() if name in _VALUES]
    if len(values) != 1 or set(entry) - _VALUES - {"name"} or not isinstance(values[0], str) or not values[0]:
        raise LaunchError(400, f"The parameter {entry['name']} must have one value, a bare id as valueString.")
    return values[0]


def _refusal(error: LaunchError) -> Response:
    response = _operation_outcome(error.status, str(error))
    response.headers.update(error.headers)
    return response


def _operation_outcome(status: int, text: str) -> Response:
    issue = {"severity": "error", "code": _ISSUE_CODES[status], "diagnostics": text}
    return Response(
        orjson.dumps({"resourceType": "OperationOutcome", "issue": [issue]}),
        status,
        media_type="application/fhir+json",
        headers={"cache-control": "no-store"},
    )
