"""CORS (checklist 1.18, edge cases 149-153): what any web page may read, and what only the app's pages may."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from gateway.credentials.signing_key import SigningKeys
from tests.smart_server.admin_client import admin_request, register_client
from tests.smart_server.running_server import RunningServer, run_smart_server
from tests.upstream.raw_server import raw_server, respond_with

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

X, Y, NOBODY = "https://x.example", "https://y.example:8443", "https://nobody.example"
SCOPE = "launch/patient offline_access patient/Patient.r"
FORM = {"grant_type": "authorization_code", "code": "BAD_CODE", "redirect_uri": "https://x.example/callback"}


def add_two_apps(settings: dict[str, Any]) -> None:
    """Add two public apps: the origin of one is in its redirect URI, that of the other in `origins`."""
    settings["smart_server"]["clients"] += [
        {"client_id": "x", "name": "X", "redirect_uris": [f"{X}/callback"]},
        {"client_id": "y", "name": "Y", "redirect_uris": ["https://app.example/callback"], "origins": [Y]},
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(fhir_server: str) -> AsyncIterator[RunningServer]:
    async with run_smart_server(fhir_server, change=add_two_apps) as running:
        yield running


async def issue_token(server: RunningServer, client_id: str) -> str:
    """An access token of one of the apps."""
    redirect_uri = f"{X}/callback" if client_id == "x" else "https://app.example/callback"
    tokens = await server.request_tokens(server.app(client_id, redirect_uri=redirect_uri), SCOPE)
    return str(tokens["access_token"])


def allows(response: httpx2.Response, origin: str | None) -> bool:
    """Whether a page of that origin may read the response. Credentials must never be allowed."""
    assert "access-control-allow-credentials" not in response.headers
    allowed = response.headers.get("access-control-allow-origin")
    if allowed != "*":
        assert "origin" in response.headers["vary"].lower()
    return allowed in {"*", origin}


async def preflight(server: RunningServer, url: str, origin: str, method: str = "GET") -> httpx2.Response:
    """The preflight request of a browser, without token and cookies."""
    headers = {"origin": origin, "access-control-request-method": method,
               "access-control-request-headers": "authorization,content-type"}  # fmt: skip
    return await server.http.request("OPTIONS", url, headers=headers)


class TestForEverybody:
    @pytest.mark.requirement("CO-1", "CO-4", "edge-150", "suite-D4")
    @pytest.mark.parametrize(
        "path",
        [
            "{base}/.well-known/smart-configuration",
            "{base}/metadata",
            "{issuer}/.well-known/openid-configuration",
            "{issuer}/jwks",
        ],
    )
    @pytest.mark.parametrize("origin", [X, NOBODY, "null"])
    async def test_every_page_may_read_what_is_public(self, server: RunningServer, path: str, origin: str) -> None:
        url = path.format(base=server.base, issuer=server.issuer)
        response = await server.http.get(url, headers={"origin": origin})
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "*"
        assert allows(response, origin)

    @pytest.mark.requirement("CO-1", "edge-149")
    @pytest.mark.parametrize("path", ["/.well-known/smart-configuration", "/metadata"])
    async def test_it_may_ask_before_reading(self, server: RunningServer, path: str) -> None:
        response = await preflight(server, server.base + path, NOBODY)
        assert response.status_code == 204
        assert allows(response, NOBODY)


class TestForNobody:
    @pytest.mark.requirement("CO-4", "edge-150")
    @pytest.mark.parametrize("path", ["/authorize", "/sign-in", "/apps", "/manage", "/launch", "/admin/clients"])
    @pytest.mark.parametrize("origin", [X, NOBODY])
    async def test_no_page_may_read_ours(self, server: RunningServer, path: str, origin: str) -> None:
        for method in ("GET", "POST", "OPTIONS"):
            response = await server.http.request(method, server.issuer + path, headers={"origin": origin})
            assert "access-control-allow-origin" not in response.headers, method


class TestTokenEndpoint:
    @pytest.mark.requirement("CO-2", "CO-5", "edge-149")
    @pytest.mark.parametrize("path", ["/token", "/introspect", "/revoke"])
    @pytest.mark.parametrize(("origin", "allowed"), [(X, True), (Y, True), (NOBODY, False), ("null", False)])
    async def test_registered_origins_may_ask_first_and_no_others(
        self, server: RunningServer, path: str, origin: str, allowed: bool
    ) -> None:
        response = await preflight(server, server.issuer + path, origin, "POST")
        assert response.status_code == 204
        assert allows(response, origin) is allowed
        if allowed:
            assert "POST" in response.headers["access-control-allow-methods"]
            assert "authorization" in response.headers["access-control-allow-headers"].lower()

    @pytest.mark.requirement("CO-2")
    async def test_the_tokens_of_an_app_are_read_by_its_own_page(self, server: RunningServer) -> None:
        app = server.app("x", redirect_uri=f"{X}/callback")
        response = await app.exchange(await server.request_code(app, SCOPE), client_id="x")
        refresh = {"grant_type": "refresh_token", "refresh_token": response.json()["refresh_token"]}
        response = await server.http.post(f"{server.issuer}/token", data=refresh, headers={"origin": X})
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == X

    @pytest.mark.requirement("CO-2", "edge-153")
    async def test_and_by_no_page_of_another_app(self, server: RunningServer) -> None:
        app = server.app("x", redirect_uri=f"{X}/callback")
        for origin in (Y, NOBODY):
            form = {
                **FORM,
                "client_id": "x",
                "code": await server.request_code(app, SCOPE),
                "code_verifier": app.verifier,
            }
            response = await server.http.post(f"{server.issuer}/token", data=form, headers={"origin": origin})
            assert response.status_code == 200
            assert not allows(response, origin)

    @pytest.mark.requirement("CO-5", "edge-151")
    @pytest.mark.parametrize(
        ("form", "status"),
        [
            ({**FORM, "client_id": "x"}, 400),
            ({**FORM, "client_id": "nobody"}, 400),
            ({"grant_type": "nonsense"}, 400),
            ({}, 400),
        ],
        ids=["a bad code", "an unknown client", "another grant", "nothing"],
    )
    async def test_errors_are_read_too(self, server: RunningServer, form: dict[str, str], status: int) -> None:
        response = await server.http.post(f"{server.issuer}/token", data=form, headers={"origin": X})
        assert response.status_code == status
        assert allows(response, X)

    @pytest.mark.requirement("CO-5", "edge-151")
    async def test_a_failed_basic_authentication_is_read_too(self, server: RunningServer) -> None:
        wrong = httpx2.BasicAuth("old-app", "wrong")
        response = await server.http.post(f"{server.issuer}/token", data=FORM, auth=wrong, headers={"origin": X})
        assert response.status_code == 401
        assert allows(response, X)

    @pytest.mark.requirement("CO-2", "edge-150")
    async def test_the_origins_of_a_new_client_count_and_those_of_a_disabled_one_do_not(
        self, server: RunningServer
    ) -> None:
        origin = "https://new.example"
        await register_client(server, "new", origins=[origin])
        await self._look_again(server)
        assert allows(await preflight(server, f"{server.issuer}/token", origin, "POST"), origin)
        assert allows(await preflight(server, f"{server.base}/Patient/1", origin), origin)
        await admin_request(server, "DELETE", "/clients/new")
        await self._look_again(server)
        assert not allows(await preflight(server, f"{server.issuer}/token", origin, "POST"), origin)
        assert not allows(await preflight(server, f"{server.base}/Patient/1", origin), origin)

    async def _look_again(self, server: RunningServer) -> None:
        """The refresh that every worker does each five seconds."""
        smart = server.gateway._smart_server
        assert smart is not None
        await smart.background_refresh.refresh()


class TestFhirEndpoints:
    @pytest.mark.requirement("CO-2", "CO-5", "edge-149")
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    async def test_a_preflight_needs_no_token(self, server: RunningServer, method: str) -> None:
        response = await preflight(server, f"{server.base}/Patient/1", X, method)
        assert response.status_code == 204
        assert response.headers["access-control-allow-origin"] == X
        assert method in response.headers["access-control-allow-methods"]
        allowed = response.headers["access-control-allow-headers"].lower()
        for name in ("authorization", "content-type", "accept", "if-match", "if-none-match", "if-none-exist",
                     "if-modified-since", "prefer"):  # fmt: skip
            assert name in allowed

    @pytest.mark.requirement("CO-2", "CO-5")
    async def test_an_app_reads_by_its_own_token_and_sees_the_headers_it_needs(self, server: RunningServer) -> None:
        headers = {"origin": X, "authorization": f"Bearer {await issue_token(server, 'x')}"}
        response = await server.http.get(f"{server.base}/Patient/pat-a", headers=headers)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == X
        assert allows(response, X)
        exposed = response.headers["access-control-expose-headers"].lower()
        for name in ("etag", "location", "content-location", "last-modified", "www-authenticate", "retry-after",
                     "x-progress", "link"):  # fmt: skip
            assert name in exposed

    @pytest.mark.requirement("edge-153")
    @pytest.mark.parametrize(
        ("client_id", "origin", "allowed"),
        [("x", X, True), ("x", Y, False), ("y", Y, True), ("y", X, False), ("x", NOBODY, False)],
    )
    @pytest.mark.parametrize("path", ["/Patient/pat-a", "/Patient/pat-b", "/Condition"])
    async def test_the_page_must_be_of_the_client_whose_token_it_sends(
        self, server: RunningServer, client_id: str, origin: str, allowed: bool, path: str
    ) -> None:
        headers = {"origin": origin, "authorization": f"Bearer {await issue_token(server, client_id)}"}
        assert allows(await server.http.get(server.base + path, headers=headers), origin) is allowed

    @pytest.mark.requirement("CO-5", "edge-151")
    @pytest.mark.parametrize(
        ("path", "authorization", "status"),
        [
            ("/Patient/pat-a", None, 401),
            ("/Patient/pat-a", "Bearer sga_" + "A" * 43, 401),
            ("/Condition", "own", 403),
            ("/Patient/pat-b", "own", 404),
            ("/Patient?_filter=x", "own", 403),
        ],
    )
    async def test_refusals_are_read_too(
        self, server: RunningServer, path: str, authorization: str | None, status: int
    ) -> None:
        headers = {"origin": X}
        if authorization is not None:
            own = f"Bearer {await issue_token(server, 'x')}"
            headers["authorization"] = own if authorization == "own" else authorization
        response = await server.http.get(server.base + path, headers=headers)
        assert response.status_code == status, response.text
        assert allows(response, X)

    @pytest.mark.requirement("CO-5", "edge-152")
    async def test_what_the_fhir_server_says_of_origins_does_not_leave(self) -> None:
        body = b'{"resourceType":"Patient","id":"pat-a"}'
        head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json\r\naccess-control-allow-origin: *\r\n"
            b"access-control-allow-credentials: true\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        async with raw_server(respond_with(head + body)) as upstream, run_smart_server(upstream.base_url) as server:
            app = server.app("backend")
            form: dict[str, str | None] = {"grant_type": "client_credentials", "scope": "system/Patient.r"}
            token = (await app.post("/token", form)).json()["access_token"]
            for origin in (X, None):
                headers = {"authorization": f"Bearer {token}"} | ({} if origin is None else {"origin": origin})
                response = await server.http.get(f"{server.base}/Patient/pat-a", headers=headers)
                assert response.status_code == 200
                assert not [name for name in response.headers if name.startswith("access-control-")]

    @pytest.mark.requirement("CO-5", "edge-151")
    async def test_a_fault_of_ours_is_read_too(self, fhir_server: str) -> None:
        async with run_smart_server(fhir_server, change=add_two_apps) as server:
            app = server.app("x", redirect_uri=f"{X}/callback")
            code = await server.request_code(app, "openid patient/Patient.r")
            smart = server.gateway._smart_server
            assert smart is not None
            smart.background_refresh._dependencies.signing_keys.loaded = SigningKeys([])
            form = {**FORM, "client_id": "x", "code": code, "code_verifier": app.verifier}
            response = await server.http.post(f"{server.issuer}/token", data=form, headers={"origin": X})
            assert (response.status_code, response.json()["error"]) == (500, "server_error")
            assert allows(response, X)

    @pytest.mark.requirement("CO-5", "edge-151")
    async def test_a_store_that_is_away_is_read_too(self, fhir_server: str) -> None:
        async with run_smart_server(fhir_server, change=add_two_apps) as server:
            token = await issue_token(server, "x")
            assert server.gateway._smart_server is not None
            await server.gateway._smart_server.store.aclose()
            headers = {"origin": X, "authorization": f"Bearer {token}"}
            answers = [
                await server.http.post(
                    f"{server.issuer}/token", data={**FORM, "client_id": "x"}, headers={"origin": X}
                ),
                await server.http.get(f"{server.base}/Patient/pat-a", headers=headers),
            ]
            for response in answers:
                assert response.status_code == 503
                assert int(response.headers["retry-after"]) > 0
                assert allows(response, X)
