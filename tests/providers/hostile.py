"""An OpenID provider for tests that tells the truth until it is told how to lie."""

import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from joserfc import jws
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.gateway.running import served
from tests.providers.visiting import CLIENT_ID
from tests.servers.process import free_port

Changes = Mapping[str, Any]
"""Members to lay over a document; None takes one out."""


@dataclass
class Lies:
    """What is told instead of the truth; whole answers replace a document."""

    discovery: Changes = field(default_factory=dict)
    claims: Changes = field(default_factory=dict)
    header: Changes = field(default_factory=dict)
    callback: Changes = field(default_factory=dict)
    token: Changes = field(default_factory=dict)
    userinfo: Changes = field(default_factory=dict)
    answers: Mapping[str, Response] = field(default_factory=dict)
    """By the name of the document: discovery, jwks, token, userinfo."""
    sign: Callable[[bytes], bytes] | None = None


@dataclass
class Hostile:
    """The provider, the lies that it tells now, and what it was asked: each document's name, and forms.

    It speaks for one issuer at a time: `root`, or `root` and a number, so that each test may have a fresh one.
    """

    root: str
    issuer: str
    lies: Lies = field(default_factory=Lies)
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", parameters={"kid": "one"}))
    jwks_name: str = "jwks"
    clock: Callable[[], float] = time.time
    _asked_for: dict[str, str] = field(default_factory=dict)

    def speak_for(self, index: int) -> None:
        """Be the issuer of that number from now on, and tell the truth."""
        self.issuer = f"{self.root}/{index}" if index else self.root
        self.lies = Lies()
        self.asked.clear()
        self.forms.clear()

    def authorized(self, url: str) -> str:
        """What the browser is sent back with for the request at `url`, with nobody having to sign in."""
        self._asked_for = dict(parse_qsl(url.partition("?")[2]))
        told = {"code": "a-code", "state": self._asked_for["state"], "iss": self.issuer}
        return f"{self._asked_for['redirect_uri']}?{urlencode(_changed(told, self.lies.callback))}"

    @property
    def asked_for(self) -> Mapping[str, str]:
        """The parameters of the last request."""
        return self._asked_for

    def id_token(self) -> str:
        """Of a doctor who signed in just now, but for the lies."""
        now = int(self.clock())
        claims = {
            "iss": self.issuer,
            "sub": "dora",
            "aud": CLIENT_ID,
            "nonce": self._asked_for.get("nonce"),
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "name": "Dr Dora Demo",
            "fhirUser": "Practitioner/practitioner-1",
        }
        header = _changed({"alg": "ES256", "kid": str(self.key.kid), "typ": "JWT"}, self.lies.header)
        signed = f"{_part(header)}.{_part(_changed(claims, self.lies.claims))}"
        sign = self.lies.sign or self._signature
        return f"{signed}.{_base64(sign(signed.encode()))}"

    def _signature(self, signed: bytes) -> bytes:
        signature: bytes = jws.JWSRegistry.algorithms["ES256"].sign(signed, self.key)
        return signature

    async def answer(self, request: Request) -> Response:
        """Any of the documents."""
        last = request.url.path.rpartition("/")[2]
        name = {"openid-configuration": "discovery"}.get(last, last)
        self.asked.append(name)
        if request.method == "POST":
            self.forms.append(dict(parse_qsl((await request.body()).decode())))
        if name in self.lies.answers:
            return self.lies.answers[name]
        match name:
            case "discovery":
                return JSONResponse(_changed(self._discovery(), self.lies.discovery))
            case self.jwks_name:
                return JSONResponse({"keys": [{**self.key.as_dict(private=False), "use": "sig"}]})
            case "token":
                told = {"access_token": "an-access-token", "token_type": "Bearer", "id_token": self.id_token()}
                return JSONResponse(_changed(told, self.lies.token))
            case "userinfo":
                if request.headers.get("authorization") != "Bearer an-access-token":
                    return Response(status_code=401)
                return JSONResponse(_changed({"sub": "dora"}, self.lies.userinfo))
        return Response(status_code=404)

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/{self.jwks_name}",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "authorization_response_iss_parameter_supported": True,
        }


def redirect(location: str) -> Response:
    """To somewhere that must never be asked."""
    return RedirectResponse(location, 302)


def _changed(truth: Changes, lies: Changes) -> dict[str, Any]:
    return {name: value for name, value in {**truth, **lies}.items() if value is not None}


def _part(value: Changes) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextlib.asynccontextmanager
async def hostile_provider() -> AsyncIterator[Hostile]:
    """One on the loopback interface, until the block ends."""
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    provider = Hostile(root, root)
    route = Route("/{path:path}", provider.answer, methods=["GET", "POST"])
    async with served(Starlette(routes=[route]), port):
        yield provider
