"""The addresses of the SMART server, what answers there, and whom."""

import asyncio
import logging

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.storage.store import StoreAwayError
from gateway.web.cors import preflight_headers, registered_headers
from gateway.web.smart.administration import Administration, signing_keys
from gateway.web.smart.answers_of_people import AnswersOfPeople
from gateway.web.smart.audience import Endpoint, for_machines, for_people
from gateway.web.smart.authorize import Authorize
from gateway.web.smart.browser import Cookies
from gateway.web.smart.client_proof import ClientProof
from gateway.web.smart.documents import Documents
from gateway.web.smart.doors import AidboxDoor, MedplumDoor
from gateway.web.smart.introspect import IntrospectionEndpoint, RevocationEndpoint
from gateway.web.smart.launching import LaunchEndpoint, Launching
from gateway.web.smart.opening import OpeningEndpoint
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.places import Places
from gateway.web.smart.provider_login import ProviderLogin
from gateway.web.smart.register import Registration
from gateway.web.smart.requests import error_answer
from gateway.web.smart.token import TokenEndpoint
from gateway.web.smart.walk import Walk

_log = logging.getLogger(__name__)
# How soon every worker knows of clients and keys that another one added, in seconds.
_REFRESH = 5.0


class SmartServer:
    """All endpoints, and what must be looked at again from time to time."""

    def __init__(self, parts: SmartParts) -> None:
        self._parts = parts
        self._origins: dict[str, frozenset[str]] = {}
        self._all_origins: frozenset[str] = frozenset()
        cookies = Cookies(parts.secure, embedded=bool(parts.frame_ancestors), users=parts.users)
        walk = Walk(parts, cookies)
        authorize = Authorize(parts, cookies, walk)
        answers = AnswersOfPeople(parts, cookies, walk)
        launching = Launching(parts)
        proof = ClientProof(parts)
        documents = Documents(parts)
        places = Places(parts, cookies, answers, launching)
        provider = ProviderLogin(parts, cookies, walk, answers)
        administration = Administration(parts)
        self._medplum = MedplumDoor(parts, launching, cookies)
        self._aidbox = AidboxDoor(parts, launching)
        step = "/authorize/{transaction}"
        people, machines, apps = self._for_people, self._for_machines, self._for_apps
        self._routes: list[BaseRoute] = [
            machines("/.well-known/openid-configuration", documents.openid, "GET", "OPTIONS"),
            machines("/jwks", documents.jwks, "GET", "OPTIONS"),
            people("/authorize", authorize.begin, "GET", "POST"),
            people(step, authorize.show, "GET"),
            people(f"{step}/login", answers.login, "POST"),
            people(f"{step}/provider/{{index:int}}", provider.leave, "GET"),
            people("/signed-in", provider.arrive, "GET"),
            people("/signed-in/{place:int}", provider.arrive, "GET"),
            people(f"{step}/patient", authorize.search, "GET"),
            people(f"{step}/patient", answers.patient, "POST"),
            people(f"{step}/encounter", answers.encounter, "POST"),
            people(f"{step}/consent", answers.consent, "POST"),
            apps("/token", TokenEndpoint(parts, proof).answer),
            apps("/introspect", IntrospectionEndpoint(parts, proof).answer),
            apps("/revoke", RevocationEndpoint(parts, proof).answer),
            machines("/launch", LaunchEndpoint(parts, launching).answer, "POST"),
            people("/launch/{opening}", OpeningEndpoint(parts, cookies).answer, "GET"),
            people("/sign-in", places.sign_in, "GET", "POST"),
            people("/sign-in/provider/{index:int}", provider.visit.leave, "GET"),
            people("/sign-out", places.sign_out, "POST"),
            people("/apps", places.gallery, "GET", "POST"),
            people("/manage", places.manage, "GET", "POST"),
            machines("/admin/clients", administration.clients, "GET", "POST"),
            machines("/admin/clients/{client_id:path}", administration.client, "GET", "DELETE"),
            machines("/admin/users", administration.users, "POST"),
            machines("/admin/token", administration.token, "POST"),
            machines("/admin/keys/rotate", administration.rotate, "POST"),
        ]
        if parts.registration:
            self._routes.append(machines("/register", Registration(parts, administration).answer, "POST"))

    def routes(self, issuer_path: str, base_path: str) -> list[BaseRoute]:
        """The routes of the whole server; Medplum's door lies below the FHIR base, Aidbox's at the root.

        The issuer comes last: where it is the host itself, its mount takes every path that is left.
        """
        machines, application = self._for_machines, f"{base_path}/ClientApplication"
        return [
            machines(f"{application}/{{client_id}}/$smart-launch", self._medplum.answer, "GET", "POST"),
            machines(f"{application}/$smart-launch", self._medplum.answer, "GET", "POST"),
            machines("/rpc", self._aidbox.answer, "POST"),
            # A redirect that adds a slash would be a 307, which sends a form once more (edge case 22).
            Mount(issuer_path, Router(self._routes, redirect_slashes=False)),
        ]

    def origins(self, client_id: str | None) -> frozenset[str]:
        """The web origins of a client, or of all of them, as this worker knows them now."""
        return self._all_origins if client_id is None else self._origins.get(client_id, frozenset())

    def _for_people(self, path: str, endpoint: Endpoint, *methods: str) -> Route:
        """What goes wrong is told on a page."""
        return Route(path, for_people(endpoint, self._parts.frame_ancestors), methods=methods)

    def _for_machines(self, path: str, endpoint: Endpoint, *methods: str) -> Route:
        """What goes wrong is told in JSON."""
        return Route(path, for_machines(endpoint), methods=methods)

    def _for_apps(self, path: str, endpoint: Endpoint) -> Route:
        """For machines, apps in browsers among them: from registered origins, errors readable as well (CO-2, CO-5).

        The endpoint leaves the client that proved itself in `request.state`: its answer is for that one's origins.
        """
        told = for_machines(endpoint)

        async def answer(request: Request) -> Response:
            origin = request.headers.get("origin")
            if request.method == "OPTIONS":
                return Response(status_code=204, headers=dict(preflight_headers(origin, self._all_origins)))
            try:
                response = await told(request)
            except Exception:
                _log.exception("an endpoint failed", extra={"path": path})
                response = error_answer(OAuthError(ErrorCode.SERVER_ERROR, "The server failed; its log says why."))
            client = getattr(request.state, "client", None)
            origins = self._all_origins if client is None else client.origins
            response.headers.update(dict(registered_headers(origin, origins)))
            return response

        return Route(path, answer, methods=("POST", "OPTIONS"))

    async def refresh(self) -> None:
        """Look at clients and keys again. Raises `StoreAwayError`."""
        clients = await self._parts.clients.all()
        self._origins = {one.client_id: one.origins for one in clients if not one.disabled}
        self._all_origins = frozenset().union(*self._origins.values())
        await self._parts.refresh_keys(signing_keys)

    async def keep_fresh(self) -> None:
        """Look again for as long as the gateway runs."""
        while True:
            await asyncio.sleep(_REFRESH)
            try:
                await self.refresh()
            except StoreAwayError as error:
                _log.warning("the store does not answer", extra={"detail": str(error)[:200]})
