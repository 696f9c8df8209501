"""Backend services that authenticate by a certificate, to which their tokens are bound (RFC 8705).

With certificates that the gateway's own TLS asks for, and behind nginx, which passes them on.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from gateway.certificates.thumbprint import certificate_thumbprint
from gateway.credentials.development_key import load_or_create_key, sign_access_token
from tests.certificates.authority import Authority, SignedCertificate
from tests.commands.serving_process import ISSUER, ServingProcess, serving_process
from tests.proxy.lenient_server import lenient_server
from tests.servers.ports import free_port
from tests.upstream.test_real_servers import NGINX, listens

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENT = {"resourceType": "Patient", "id": "A", "active": True}
SCOPE = "system/Patient.rs"


@dataclass
class Deployment:
    """A gateway that sees certificates of clients, and the certificates of this test."""

    root: str
    process: ServingProcess
    authority: Authority
    app: SignedCertificate
    self_signed: SignedCertificate

    @contextlib.asynccontextmanager
    async def client(self, certificate: SignedCertificate | None) -> AsyncIterator[httpx2.AsyncClient]:
        """A client with a certificate of its own, or without one."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        async with httpx2.AsyncClient(base_url=self.root, verify=context, trust_env=False) as client:
            yield client

    async def token_response(
        self, certificate: SignedCertificate | None, client_id: str = "reports", **headers: str
    ) -> httpx2.Response:
        """The response of the token endpoint."""
        form = {"grant_type": "client_credentials", "scope": SCOPE, "client_id": client_id}
        async with self.client(certificate) as client:
            return await client.post("/auth/token", data=form, headers=headers)

    async def token(self, certificate: SignedCertificate, client_id: str = "reports") -> str:
        """An access token that is bound to the certificate."""
        response = await self.token_response(certificate, client_id)
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    async def read(self, certificate: SignedCertificate | None, token: str, **headers: str) -> tuple[int, str]:
        """A read with the token: its status, and the reason of a refusal."""
        async with self.client(certificate) as client:
            response = await client.get("/fhir/Patient/A", headers={"authorization": f"Bearer {token}", **headers})
        if response.status_code == 200:
            return 200, ""
        return response.status_code, response.json()["issue"][0]["details"]["coding"][0]["code"]


def clients(self_signed: SignedCertificate) -> list[dict[str, Any]]:
    service = {"name": "Reports", "grant_types": ["client_credentials"], "scopes": SCOPE, "may_introspect": True}
    return [
        {"client_id": "reports", "type": "tls-client-auth", "tls_client_auth_san_dns": "reports.example", **service},
        {"client_id": "other", "type": "tls-client-auth", "tls_client_auth_san_dns": "other.example", **service},
        {
            "client_id": "self-signed",
            "type": "self-signed-tls-client-auth",
            "certificate_thumbprints": [certificate_thumbprint(self_signed.content)],
            **service,
        },
    ]


@contextlib.asynccontextmanager
async def deployed(folder: Path, kind: str) -> AsyncIterator[Deployment]:
    authority = Authority(folder, "authority")
    server = authority.sign("server", "localhost", "127.0.0.1")
    app, self_signed = authority.sign("reports", "reports.example"), authority.sign("self", is_self_signed=True)
    authorities = folder / "authorities.pem"
    authorities.write_bytes(authority.file.read_bytes() + self_signed.certificate.read_bytes())
    own_tls = {"tls": {"certificate_file": str(server.certificate), "key_file": str(server.key)}}
    listen: dict[str, Any] = {"client_certificates": {"authorities_file": str(authorities)}}
    if kind == "own TLS":
        listen |= own_tls
    else:
        listen["client_certificates"]["header"] = "X-SSL-Client-Cert"
        listen["trusted_proxies"] = ["127.0.0.1"]
    settings = {"listen": listen, "smart_server": {"store": "memory://", "clients": clients(self_signed)}}
    trusted = authority.file if kind == "own TLS" else None
    async with (
        lenient_server(PATIENT) as upstream,
        serving_process(upstream.base_url, settings, trusted_ca=trusted) as process,
        contextlib.AsyncExitStack() as stack,
    ):
        root = process.root if trusted else await stack.enter_async_context(nginx(folder, server, process.port))
        yield Deployment(root, process, authority, app, self_signed)


@contextlib.asynccontextmanager
async def nginx(folder: Path, server: SignedCertificate, port: int) -> AsyncIterator[str]:
    """An nginx that ends TLS, asks for certificates without checking who issued them, and passes them on."""
    if NGINX is None:
        pytest.skip("nginx is not installed on this machine")
    own_port, configuration = free_port(), folder / "nginx.conf"
    configuration.write_text(
        f"""daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log notice;
        events {{ worker_connections 64; }}
        http {{
            access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            upstream gateway {{ server 127.0.0.1:{port}; keepalive 4; }}
            server {{ listen 127.0.0.1:{own_port} ssl;
                      ssl_certificate {server.certificate}; ssl_certificate_key {server.key};
                      ssl_verify_client optional_no_ca;
                      location / {{ proxy_pass http://gateway; proxy_http_version 1.1;
                                    proxy_set_header Connection "";
                                    proxy_set_header X-SSL-Client-Cert $ssl_client_escaped_cert; }} }}
        }}"""
    )
    process = await asyncio.create_subprocess_exec(
        NGINX, "-c", str(configuration), "-p", str(folder), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(10):
            while not await listens(own_port):  # noqa: ASYNC110  # another process gives no event
                await asyncio.sleep(0.01)
        yield f"https://localhost:{own_port}"
    finally:
        process.terminate()
        await process.wait()


@pytest_asyncio.fixture(params=["own TLS", "nginx"], scope="module", loop_scope="module")
async def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployment]:
    async with deployed(tmp_path_factory.mktemp("mutual-tls"), request.param) as running:
        yield running


MISSING = (401, "token_certificate_missing")


async def test_a_token_serves_with_the_certificate_that_it_was_issued_to_alone(deployment: Deployment) -> None:
    for certificate, client_id in ((deployment.app, "reports"), (deployment.self_signed, "self-signed")):
        token = await deployment.token(certificate, client_id)
        other = deployment.authority.sign("other", "other.example")
        # Twice each: what is remembered of the token is not what is remembered of the connection.
        for _ in range(2):
            assert await deployment.read(certificate, token) == (200, "")
            assert await deployment.read(None, token) == MISSING
            assert await deployment.read(other, token) == MISSING


async def test_nobody_authenticates_by_another_certificate(deployment: Deployment) -> None:
    stranger = deployment.authority.sign("stranger", "stranger.example")
    for certificate, client_id in (
        (None, "reports"),
        (None, "self-signed"),
        (stranger, "reports"),
        (stranger, "self-signed"),
        (deployment.app, "other"),
        (deployment.app, "self-signed"),
        (deployment.self_signed, "reports"),
        (deployment.app, "unknown"),
    ):
        response = await deployment.token_response(certificate, client_id)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_client"), client_id
    refused = [line["detail"] for line in deployment.process.log() if line["event"] == "token refused"]
    assert "the certificate has another san_dns than the client is registered with" in refused
    assert "no certificate was presented, or no trusted proxy passed it on" in refused


async def test_a_header_of_the_client_itself_is_no_certificate(deployment: Deployment) -> None:
    """nginx replaces it, and without a proxy it is not read."""
    text = "".join(deployment.app.certificate.read_text().splitlines()[1:-1])
    headers = {"x-ssl-client-cert": text, "client-cert": f":{text}:"}
    assert (await deployment.token_response(None, **headers)).json()["error"] == "invalid_client"
    token = await deployment.token(deployment.app)
    assert await deployment.read(None, token, **headers) == MISSING


async def test_discovery_and_introspection_tell_it(deployment: Deployment) -> None:
    token = await deployment.token(deployment.app)
    async with deployment.client(deployment.app) as client:
        for path in ("/fhir/.well-known/smart-configuration", "/auth/.well-known/openid-configuration"):
            document = (await client.get(path)).json()
            assert document["tls_client_certificate_bound_access_tokens"] is True
            assert {"tls_client_auth", "self_signed_tls_client_auth"} < set(
                document["token_endpoint_auth_methods_supported"]
            )
        response = await client.post("/auth/introspect", data={"token": token, "client_id": "reports"})
    assert response.json()["cnf"] == {"x5t#S256": certificate_thumbprint(deployment.app.content)}


async def test_a_token_of_another_issuer_is_held_to_its_certificate_too(deployment: Deployment) -> None:
    claims = {
        "iss": ISSUER, "aud": deployment.process.base_url, "sub": "someone", "client_id": "app", "scope": SCOPE,
        "exp": int(time.time()) + 600,
    }  # fmt: skip
    key = load_or_create_key(deployment.process.folder / "key.json")

    def token(confirmation: Any) -> str:
        return sign_access_token(key, {**claims, "cnf": confirmation})

    bound = token({"x5t#S256": certificate_thumbprint(deployment.app.content)})
    assert await deployment.read(deployment.app, bound) == (200, "")
    assert await deployment.read(None, bound) == MISSING
    for confirmation in ({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}, {}, "x", {"x5t#S256": 1}):
        refused = await deployment.read(deployment.app, token(confirmation))
        assert refused == (401, "token_claims_invalid"), confirmation


async def test_an_authority_that_is_taken_out_of_the_file_vouches_for_nobody(deployment: Deployment) -> None:
    """The last of this deployment: the file stays as it is then."""
    await deployment.token(deployment.app)
    file = deployment.authority.file.with_name("authorities.pem")
    file.write_bytes(deployment.self_signed.certificate.read_bytes())

    async def is_refused() -> bool:
        try:
            return "error" in (await deployment.token_response(deployment.app)).json()
        except httpx2.TransportError:
            # The gateway's own TLS refuses the certificate itself.
            return True

    async with asyncio.timeout(30):
        while not await is_refused():  # noqa: ASYNC110  # a file that has changed gives no event
            await asyncio.sleep(0.05)
    assert (await deployment.token_response(deployment.self_signed, "self-signed")).status_code == 200
