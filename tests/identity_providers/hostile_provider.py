"""An OpenID provider for tests, whose documents and responses can be tampered with."""

import base64
import contextlib
import json
import secrets
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

from tests.identity_providers.browser_login import CLIENT_ID
from tests.proxy.running_gateway import serve_on
from tests.servers.ports import free_port

Changes = Mapping[str, Any]
"""Members that replace those of a document; None removes one."""


@dataclass
class Tampering:
    """Changes to the documents and responses of the provider."""

    discovery: Changes = field(default_factory=dict)
    claims: Changes = field(default_factory=dict)
    header: Changes = field(default_factory=dict)
    callback: Changes = field(default_factory=dict)
    token: Changes = field(default_factory=dict)
    userinfo: Changes = field(default_factory=dict)
    responses: Mapping[str, Response] = field(default_factory=dict)
    """Whole responses by the name of the document: discovery, jwks, token, userinfo."""
    sign: Callable[[bytes], bytes] | None = None


@dataclass
class HostileProvider:
    """The provider, its current tampering, and what was requested: names of documents, and posted forms.

    It acts as one issuer at a time: `root`, or `root` and a number, so that a test can have a new issuer.
    """

    root: str
    issuer: str
    tampering: Tampering = field(default_factory=Tampering)
    requested_documents: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", parameters={"kid": "one"}))
    jwks_name: str = "jwks"
    clock: Callable[[], float] = time.time
    _login_parameters: dict[str, str] = field(default_factory=dict)

    def impersonate(self, index: int) -> None:
        """Act as the issuer with this number, without tampering."""
        self.issuer = f"{self.root}/{index}" if index else self.root
        self.tampering = Tampering()
        self.requested_documents.clear()
        self.forms.clear()

    def callback_url(self, url: str) -> str:
        """The callback URL for the authorization request at `url`; no user has to sign in."""
        self._login_parameters = dict(parse_qsl(url.partition("?")[2]))
        parameters = {"code": "a-code", "state": self._login_parameters["state"], "iss": self.issuer}
        return f"{self._login_parameters['redirect_uri']}?{urlencode(_changed(parameters, self.tampering.callback))}"

    @property
    def login_parameters(self) -> Mapping[str, str]:
        """The parameters of the last authorization request."""
        return self._login_parameters

    def id_token(self) -> str:
        """The id_token of a doctor who has just signed in, with the tampering."""
        now = int(self.clock())
        claims = {
            "iss": self.issuer,
            "sub": "dora",
            "aud": CLIENT_ID,
            "nonce": self._login_parameters.get("nonce"),
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "name": "Dr Dora Demo",
            "fhirUser": "Practitioner/practitioner-1",
        }
        return self._sign(claims, "JWT", self.tampering)

    def logout_token(self, tampering: Tampering | None = None) -> str:
        """The logout token of the doctor, with some tampering."""
        now = int(self.clock())
        claims = {
            "iss": self.issuer,
            "sub": "dora",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_hex(16),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }
        return self._sign(claims, "logout+jwt", tampering or Tampering())

    def _sign(self, claims: Changes, token_type: str, tampering: Tampering) -> str:
        header = _changed({"alg": "ES256", "kid": str(self.key.kid), "typ": token_type}, tampering.header)
        signed = f"{_part(header)}.{_part(_changed(claims, tampering.claims))}"
        sign = tampering.sign or self._signature
        return f"{signed}.{_base64(sign(signed.encode()))}"

    def _signature(self, signed: bytes) -> bytes:
        signature: bytes = jws.JWSRegistry.algorithms["ES256"].sign(signed, self.key)
        return signature

    async def respond(self, request: Request) -> Response:
        """Respond to a request for any document."""
        last = request.url.path.rpartition("/")[2]
        name = {"openid-configuration": "discovery"}.get(last, last)
        self.requested_documents.append(name)
        if request.method == "POST":
            self.forms.append(dict(parse_qsl((await request.body()).decode())))
        if name in self.tampering.responses:
            return self.tampering.responses[name]
        match name:
            case "discovery":
                return JSONResponse(_changed(self._discovery(), self.tampering.discovery))
            case self.jwks_name:
                return JSONResponse({"keys": [{**self.key.as_dict(private=False), "use": "sig"}]})
            case "token":
                tokens = {"access_token": "an-access-token", "token_type": "Bearer", "id_token": self.id_token()}
                return JSONResponse(_changed(tokens, self.tampering.token))
            case "userinfo":
                if request.headers.get("authorization") != "Bearer an-access-token":
                    return Response(status_code=401)
                return JSONResponse(_changed({"sub": "dora"}, self.tampering.userinfo))
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
    """A redirect to a server that must never be requested."""
    return RedirectResponse(location, 302)


def _changed(document: Changes, changes: Changes) -> dict[str, Any]:
    return {name: value for name, value in {**document, **changes}.items() if value is not None}


def _part(value: Changes) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextlib.asynccontextmanager
async def hostile_provider() -> AsyncIterator[HostileProvider]:
    """A hostile provider on the loopback interface, until the block ends."""
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    provider = HostileProvider(root, root)
    route = Route("/{path:path}", provider.respond, methods=["GET", "POST"])
    async with serve_on(Starlette(routes=[route]), port):
        yield provider
