"""A reverse proxy in front of a real gateway that breaks one promise or another, so that the self-test must notice."""

import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from gateway.asgi.types import Receive, Scope, Send
from gateway.commands.selftesting.smart_app import CALLBACK
from gateway.oauth.pkce import code_challenge
from tests.proxy.running_gateway import serve_on
from tests.servers.ports import free_port

_UNKNOWN_APP = "client_id=selftest-unknown"
_VERIFIER = "a-verifier-of-the-proxy-that-is-always-the-same-one"


class Fault(Enum):
    """What is wrong."""

    OPEN = auto()
    """FHIR requests go to the FHIR server, whatever the token."""
    FORWARDED_HOST = auto()
    """Documents name the host of X-Forwarded-Host and of Host."""
    CREDENTIALED_CORS = auto()
    """Every origin may read everything with the user's cookies."""
    NO_PAGE_HEADERS = auto()
    """Headers that protect browsers are taken away."""
    OTHER_DOCUMENTS = auto()
    """Documents differ, keys are private, and the CapabilityStatement names the server behind."""
    CLOSED_DOCUMENTS = auto()
    """No origin may read the CapabilityStatement."""
    EVERY_REQUEST = auto()
    """Authorization requests are completed and corrected, and unknown apps are sent on."""
    REPEATED_TOKENS = auto()
    """Whoever sends a token request again gets the response again."""
    NO_PKCE = auto()
    """PKCE is done by the proxy, for whoever holds the code."""
    NOTHING_ENDS = auto()
    """Revocations, and removals of apps, are answered and not made."""
    OTHER_PATIENT = auto()
    """Token responses name another patient, and an id_token that was changed."""
    NO_STATE = auto()
    """The state is lost on the way back."""
    PUBLISHED = auto()
    """Metrics and admin API are open to everybody, and every address below the issuer is answered."""
    NO_DELETE = auto()
    """Deletes of records are refused."""


@dataclass
class BreakingProxy:
    """Forwards to the gateway at `gateway`, and breaks what `faults` say; `upstream` is the FHIR server behind it."""

    gateway: str
    upstream: str
    faults: frozenset[Fault]
    _repeated: dict[bytes, httpx2.Response] = field(default_factory=dict)
    _http: httpx2.AsyncClient = field(default_factory=lambda: httpx2.AsyncClient(trust_env=False, timeout=60))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        assert scope["type"] == "http"
        response = await self._answer(scope, await _body(receive))
        headers = [
            (name.lower().encode(), value.encode("latin-1"))
            for name, value in response.headers.multi_items()
            if name.lower() not in {"content-length", "transfer-encoding", "connection", "content-encoding"}
        ]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": response.content})

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _answer(self, scope: Scope, body: bytes) -> httpx2.Response:
        method, target = scope["method"], scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += f"?{scope['query_string'].decode('latin-1')}"
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        path = urlsplit(target).path
        if Fault.NOTHING_ENDS in self.faults and (path == "/auth/revoke" or (method == "DELETE" and "/admin/" in path)):
            return httpx2.Response(200, json={})
        if Fault.NO_DELETE in self.faults and method == "DELETE" and path.startswith("/fhir/"):
            return httpx2.Response(403, json={})
        if Fault.EVERY_REQUEST in self.faults and path == "/auth/authorize":
            target = target if _UNKNOWN_APP in target else _completed(target)
        if Fault.PUBLISHED in self.faults and path == "/metrics":
            return httpx2.Response(200, text="smart_gateway_requests_total 1\n")
        if Fault.PUBLISHED in self.faults and path.startswith(("/auth/admin/clients", "/auth/selftest-")):
            return httpx2.Response(200, json={})
        if Fault.NO_PKCE in self.faults:
            target, body = _with_own_pkce(target, body)
        if Fault.REPEATED_TOKENS in self.faults and path == "/auth/token" and body in self._repeated:
            return self._repeated[body]
        origin = self.gateway
        if (
            Fault.OPEN in self.faults
            and path.startswith("/fhir/")
            and not re.search("metadata|well-known|_page", target)
        ):
            origin = urlsplit(self.upstream)._replace(path="", query="").geturl()
            headers.pop("authorization", None)
        response = await self._forward(method, origin, target, headers, body)
        if path == "/auth/token" and response.status_code == 200:
            self._repeated[body] = response
        if Fault.EVERY_REQUEST in self.faults and _UNKNOWN_APP in target:
            response = httpx2.Response(302, headers={**response.headers, "location": CALLBACK})
        return self._break(response, path, headers)

    async def _forward(
        self, method: str, origin: str, target: str, headers: dict[str, str], body: bytes
    ) -> httpx2.Response:
        kept = {name: value for name, value in headers.items() if name != "content-length"}
        request = self._http.build_request(method, f"{origin}/", headers=kept, content=body)
        request.extensions["target"] = target.encode("latin-1")
        response = await self._http.send(request)
        self._http.cookies.clear()
        return response

    def _break(self, response: httpx2.Response, path: str, asked: dict[str, str]) -> httpx2.Response:
        headers, text = httpx2.Headers(response.headers), response.content
        if Fault.FORWARDED_HOST in self.faults:
            for name in ("x-forwarded-host", "host"):
                public = urlsplit(self.gateway).netloc
                text = text.replace(public.encode(), asked.get(name, public).encode())
        if Fault.CREDENTIALED_CORS in self.faults and "origin" in asked:
            headers["access-control-allow-origin"] = asked["origin"]
            headers["access-control-allow-credentials"] = "true"
        if Fault.NO_PAGE_HEADERS in self.faults:
            for name in ("content-security-policy", "cache-control", "referrer-policy", "x-content-type-options"):
                headers.pop(name, None)
        if Fault.CLOSED_DOCUMENTS in self.faults:
            headers.pop("access-control-allow-origin", None)
        if Fault.NO_STATE in self.faults and headers.get("location", "").startswith(CALLBACK):
            headers["location"] = re.sub(r"&?state=[^&]*", "", headers["location"])
        if Fault.OTHER_DOCUMENTS in self.faults and response.status_code == 200:
            text = _other_document(path, text, self.upstream)
        if Fault.OTHER_PATIENT in self.faults and path == "/auth/token" and response.status_code == 200:
            text = _for_another_patient(text)
        return httpx2.Response(response.status_code, headers=headers, content=text)


def _completed(target: str) -> str:
    """The authorization request as it should have been."""
    path, _, query = target.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    if len(given.get("code_challenge", "")) != 43 or given.get("code_challenge_method") != "S256":
        given |= {"code_challenge": code_challenge(_VERIFIER), "code_challenge_method": "S256"}
    right = {"redirect_uri": CALLBACK, "response_type": "code", "state": given.get("state", "a1b2")}
    return f"{path}?{urlencode({**given, **right, 'aud': given.get('aud', '')})}"


def _with_own_pkce(target: str, body: bytes) -> tuple[str, bytes]:
    if target.startswith("/auth/authorize?"):
        path, _, query = target.partition("?")
        given = dict(parse_qsl(query, keep_blank_values=True))
        return f"{path}?{urlencode({**given, 'code_challenge': code_challenge(_VERIFIER)})}", body
    if target == "/auth/token" and b"grant_type=authorization_code" in body:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        return target, urlencode({**form, "code_verifier": _VERIFIER}).encode()
    return target, body


def _other_document(path: str, text: bytes, upstream: str) -> bytes:
    if path.endswith("/openid-configuration"):
        return json.dumps({**json.loads(text), "token_endpoint": "https://elsewhere.invalid/token"}).encode()
    if path.endswith("/jwks"):
        keys = json.loads(text)["keys"]
        return json.dumps({"keys": [{**key, "d": "a1b2"} for key in keys]}).encode()
    if path.endswith("/metadata"):
        statement = json.loads(text)
        uris = statement["rest"][0]["security"]["extension"][0]["extension"]
        uris[0]["valueUri"] = "https://elsewhere.invalid/authorize"
        return json.dumps({**statement, "copyright": upstream}).encode()
    return text


def _for_another_patient(text: bytes) -> bytes:
    answer: dict[str, Any] = json.loads(text)
    if "id_token" in answer:
        head, claims, signature = answer["id_token"].split(".")
        answer["id_token"] = f"{head}.{claims[:-4]}AAAA.{signature}"
    return json.dumps({**answer, "patient": "somebody-else"}).encode()


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


@contextlib.asynccontextmanager
async def breaking_proxy(gateway: str, upstream: str, *faults: Fault) -> AsyncIterator[str]:
    """The URL of such a proxy until the block ends."""
    port = free_port()
    proxy = BreakingProxy(gateway, upstream, frozenset(faults))
    try:
        async with serve_on(proxy, port):
            yield f"http://127.0.0.1:{port}"
    finally:
        await proxy.aclose()
