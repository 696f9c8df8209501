"""An OAuth 2.0 token endpoint and a FHIR server that accepts its tokens, for tests of authentication."""

import asyncio
import base64
from urllib.parse import parse_qsl, unquote_plus

from starlette.applications import Starlette
from starlette.requests import Request as Incoming
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.upstream.exchange_types import Request

GET = Request(b"GET", b"/fhir/Patient/a")
POST = Request(b"POST", b"/fhir/Patient", (), b"{}")
CLIENT = "gate:way"
SECRET = "sécret &/+"


class OAuthAndFhirServer:
    """A token endpoint, and a FHIR server that accepts those of its tokens that are still valid."""

    def __init__(self) -> None:
        self.issued = 0
        self.valid: set[str] = set()
        self.forms: list[dict[str, str]] = []
        self.requests: list[tuple[str, str]] = []
        self.lifetime: object = 300
        self.token_response: Response | None = None
        self.may_respond = asyncio.Event()
        self.may_respond.set()
        self.refuse_all = False

    def application(self) -> Starlette:
        methods = ["GET", "POST", "PUT"]
        return Starlette(
            routes=[
                Route("/token", self.token, methods=["POST"]),
                Route("/fhir/{path:path}", self.fhir, methods=methods),
            ]
        )

    async def token(self, request: Incoming) -> Response:
        await self.may_respond.wait()
        form = dict(parse_qsl((await request.body()).decode()))
        self.forms.append(form)
        if not self._is_known_client(request.headers.get("authorization"), form):
            return JSONResponse({"error": "invalid_client"}, 401)
        if self.token_response is not None:
            return self.token_response
        self.issued += 1
        token = f"token-{self.issued}"
        self.valid.add(token)
        body: dict[str, object] = {"access_token": token, "token_type": "Bearer"}
        return JSONResponse(body if self.lifetime is None else body | {"expires_in": self.lifetime})

    def _is_known_client(self, header: str | None, form: dict[str, str]) -> bool:
        if header is None:
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        return (unquote_plus(name), unquote_plus(secret)) == (CLIENT, SECRET)

    async def fhir(self, request: Incoming) -> Response:
        proof = request.headers.get("authorization", "")
        self.requests.append((request.method, proof))
        if self.refuse_all or proof.removeprefix("Bearer ") not in self.valid:
            return PlainTextResponse("who are you?", 401)
        return PlainTextResponse("hello")
