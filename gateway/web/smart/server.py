"""The addresses of the SMART server and what answers there."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from gateway.oauth.errors import ErrorCode, OAuthError
from gateway.storage.store import StoreAwayError
from gateway.web.cors import preflight_headers, registered_headers
from gateway.web.smart.administration import Administration, signing_keys
from gateway.web.smart.answers_of_people import AnswersOfPeople
from gateway.web.smart.authorize import Authorize, unavailable
from gateway.web.smart.browser import Cookies
from gateway.web.smart.client_proof import ClientProof
from gateway.web.smart.documents import Documents
from gateway.web.smart.doors import AidboxDoor, MedplumDoor
from gateway.web.smart.introspect import IntrospectionEndpoint, RevocationEndpoint
from gateway.web.smart.launching import LaunchEndpoint, Launching
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.places import Places
from gateway.web.smart.provider_login import ProviderLogin
from gateway.web.smart.register import Registration
from gateway.web.smart.requests import error_answer
from gateway.web.smart.token import TokenEndpoint
from gateway.web.smart.walk import Walk

_log = structlog.get_logger(__name__)
Endpoint = Callable[[Request], Awaitable[Response]]
# How soon every worker knows of clients and keys that another one added, in seconds.
_REFRESH = 5.0
_TO_READ = ["GET", "OPTIONS"]
_FOR_MACHINES = frozenset({"/token", "/introspect", "/revoke", "/register", "/launch"})


class SmartServer:
    """All endpoints, and what must be looked at again from time to time."""

    def __init__(self, parts: SmartParts) -> None:
        self._parts = parts
        self._origins: dict[str, frozenset[str]] = {}
        self._all_origins: frozenset[str] = frozenset()
        cookies = Cookies(parts.secure, embedded=bool(parts.frame_ancestors))
        walk = Walk(parts, cookies)
        authorize = Authorize(parts, cookies, walk)
        people = AnswersOfPeople(parts, cookies, walk)
        launching = Launching(parts)
        proof = ClientProof(parts)
        documents = Documents(parts)
        places = Places(parts, cookies, people, launching)
        provider = ProviderLogin(parts, cookies, walk, people)
        administration = Administration(parts)
        self._medplum = MedplumDoor(parts, launching, cookies)
        self._aidbox = AidboxDoor(parts, launching)
        step = "/authorize/{transaction}"
        self._routes: list[BaseRoute] = [
            Route("/.well-known/openid-configuration", documents.openid, methods=_TO_READ),
            Route("/jwks", documents.jwks, methods=_TO_READ),
            Route("/authorize", authorize.begin, methods=["GET", "POST"]),
            Route(step, authorize.show, methods=["GET"]),
            Route(f"{step}/login", people.login, methods=["POST"]),
            Route(f"{step}/provider/{{index:int}}", provider.leave, methods=["GET"]),
            Route("/signed-in", provider.arrive, methods=["GET"]),
            Route(f"{step}/patient", authorize.search, methods=["GET"]),
            Route(f"{step}/patient", people.patient, methods=["POST"]),
            Route(f"{step}/encounter", people.encounter, methods=["POST"]),
            Route(f"{step}/consent", people.consent, methods=["POST"]),
            self._for_machines("/token", TokenEndpoint(parts, proof).answer),
            self._for_machines("/introspect", IntrospectionEndpoint(parts, proof).answer),
            self._for_machines("/revoke", RevocationEndpoint(parts, proof).answer),
            Route("/launch", LaunchEndpoint(parts, launching).answer, methods=["POST"]),
            Route("/sign-in", places.sign_in, methods=["GET", "POST"]),
            Route("/sign-in/provider/{index:int}", provider.visit.leave, methods=["GET"]),
            Route("/sign-out", places.sign_out, methods=["POST"]),
            Route("/apps", places.gallery, methods=["GET", "POST"]),
            Route("/manage", places.manage, methods=["GET", "POST"]),
            Route("/admin/clients", administration.clients, methods=["GET", "POST"]),
            Route("/admin/clients/{client_id:path}", administration.client, methods=["GET", "DELETE"]),
            Route("/admin/users", administration.users, methods=["POST"]),
            Route("/admin/token", administration.token, methods=["POST"]),
            Route("/admin/keys/rotate", administration.rotate, methods=["POST"]),
        ]
        if parts.registration:
            self._routes.append(Route("/register", Registration(parts, administration).answer, methods=["POST"]))

    def routes(self, issuer_path: str, base_path: str) -> list[BaseRoute]:
        """The routes of the whole server; Medplum's door lies below the FHIR base, Aidbox's at the root.

        The issuer comes last: where it is the host itself, its mount takes every path that is left.
        """
        return [
            Route(f"{base_path}/ClientApplication/{{client_id}}/$smart-launch", self._medplum.answer,
                  methods=["GET", "POST"]),
            Route(f"{base_path}/ClientApplication/$smart-launch", self._medplum.answer, methods=["GET", "POST"]),
            Route("/rpc", self._aidbox.answer, methods=["POST"]),
            # A redirect that adds a slash would be a 307, which sends a form once more (edge case 22).
            Mount(issuer_path, Router(self._routes, redirect_slashes=False)),
        ]  # fmt: skip

    def origins(self, client_id: str | None) -> frozenset[str]:
        """The web origins of a client, or of all of them, as this worker knows them now."""
        return self._all_origins if client_id is None else self._origins.get(client_id, frozenset())

    def _for_machines(self, path: str, endpoint: Endpoint) -> Route:
        """An endpoint that apps in browsers call too: from registered origins, errors readable as well (CO-2, CO-5).

        The endpoint leaves the client that proved itself in `request.state`: its answer is for that one's origins.
        """

        async def answer(request: Request) -> Response:
            origin = request.headers.get("origin")
            if request.method == "OPTIONS":
                return Response(status_code=204, headers=dict(preflight_headers(origin, self._all_origins)))
            try:
                response = await endpoint(request)
            except StoreAwayError as error:
                response = store_away(error)
            except Exception:
                _log.exception("an endpoint failed", path=path)
                response = error_answer(OAuthError(ErrorCode.SERVER_ERROR, "The server failed; its log says why."))
            client = getattr(request.state, "client", None)
            origins = self._all_origins if client is None else client.origins
            response.headers.update(dict(registered_headers(origin, origins)))
            return response

        return Route(path, answer, methods=["POST", "OPTIONS"])

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
                _log.warning("the store does not answer", detail=str(error)[:200])


def store_away(error: StoreAwayError) -> Response:
    """What apps are told while the store is away: never a token (authorization.md "Tokens and state")."""
    _log.error("the store does not answer", detail=str(error)[:200])
    return error_answer(OAuthError(ErrorCode.TEMPORARILY_UNAVAILABLE, "Please try again in a moment."))


async def on_store_away(request: Request, error: Exception) -> Response:
    """The same for every other endpoint, as a page where people look."""
    assert isinstance(error, StoreAwayError)
    if any(request.url.path.endswith(path) for path in _FOR_MACHINES) or "/admin/" in request.url.path:
        return store_away(error)
    return unavailable(request, error)
