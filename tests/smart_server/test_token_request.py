"""The form of requests to `/token`: method, media type, parameters and grant types."""

from urllib.parse import urlencode

import httpx2
import pytest

from tests.smart_server.admin_client import register_client
from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.running_server import CALLBACK, USER_CLIENTS, RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

PLAIN = "launch/patient patient/Patient.r"
FORM = {"grant_type": "authorization_code", "code": "BAD_CODE", "redirect_uri": CALLBACK, "client_id": "public-app"}


class TestForm:
    @pytest.mark.requirement("T-1", "edge-51")
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
    async def test_only_post_will_do(self, server: RunningServer, method: str) -> None:
        response = await server.http.request(method, f"{server.issuer}/token?{urlencode(FORM)}")
        assert response.status_code == 405
        assert "POST" in response.headers["allow"]

    @pytest.mark.requirement("edge-51")
    @pytest.mark.parametrize("name", ["code", "grant_type", "client_secret", "whatever"])
    async def test_a_parameter_in_the_address_is_refused(self, server: RunningServer, name: str) -> None:
        response = await server.http.post(f"{server.issuer}/token?{name}=x", data=FORM)
        assert oauth_error(response) == "invalid_request"

    @pytest.mark.parametrize("client_id", ["public-app", "https://symmetric.example"])
    async def test_json_will_do_as_well_as_aidbox_apps_send_it(self, server: RunningServer, client_id: str) -> None:
        app = server.app(client_id)
        code = await server.request_code(app, PLAIN)
        body = {**FORM, "client_id": client_id, "code": code, "code_verifier": app.verifier}
        # A client_id with a colon, not encoded, as some clients send it (edge case 65).
        auth = {"auth": httpx2.BasicAuth(client_id, app.secret)} if app.secret else {}
        response = await server.http.post(f"{server.issuer}/token", json=body, **auth)  # type: ignore[arg-type]  # one option
        assert response.status_code == 200, response.text

    @pytest.mark.requirement("T-1")
    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("text/plain", urlencode(FORM).encode()),
            ("multipart/form-data; boundary=x", b"--x--"),
            ("application/xml", b"<a/>"),
            ("", urlencode(FORM).encode()),
            ("application/json", b"[]"),
            ("application/json", b"{"),
            ("application/json", b'{"grant_type": "authorization_code", "code": "a", "code": "b"}'),
            ("application/json", b'{"a":' * 9999),
            ("application/json", b'{"grant_type": 1}'),
            ("application/json", b'{"grant_type": ["authorization_code"]}'),
            ("application/x-www-form-urlencoded", b"grant_type=%ff%fe"),
            ("application/x-www-form-urlencoded", "grant_type=é".encode()),
            ("application/x-www-form-urlencoded", b"a=b&" * 300),
            ("application/x-www-form-urlencoded", b"code=" + b"x" * 200_000),
            ("application/x-www-form-urlencoded", b""),
        ],
        ids=lambda value: value[:40] if isinstance(value, str) else None,
    )
    async def test_any_other_body_is_refused(self, server: RunningServer, kind: str, body: bytes) -> None:
        headers = {"content-type": kind} if kind else {}
        response = await server.http.post(f"{server.issuer}/token", content=body, headers=headers)
        assert oauth_error(response) == "invalid_request"

    @pytest.mark.parametrize(
        "name",
        ["grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret", "client_assertion",
         "client_assertion_type", "refresh_token", "scope"],
    )  # fmt: skip
    async def test_a_parameter_that_came_twice_is_refused(self, server: RunningServer, name: str) -> None:
        pairs = [*FORM.items(), (name, "one"), (name, "two")]
        headers = {"content-type": "application/x-www-form-urlencoded"}
        response = await server.http.post(f"{server.issuer}/token", content=urlencode(pairs), headers=headers)
        assert oauth_error(response) == "invalid_request"

    @pytest.mark.requirement("T-2")
    @pytest.mark.parametrize("name", ["grant_type", "code", "redirect_uri"])
    async def test_a_parameter_that_is_missing_is_named(self, server: RunningServer, name: str) -> None:
        response = await server.http.post(f"{server.issuer}/token", data={**FORM, name: ""})
        assert oauth_error(response) == "invalid_request"
        assert name in response.json()["error_description"]

    @pytest.mark.requirement("suite-B1", "ER-1", "ER-2")
    @pytest.mark.parametrize("grant_type", ["not_a_grant_type", "password", "implicit", "Authorization_Code",
                                            "urn:ietf:params:oauth:grant-type:device_code"])  # fmt: skip
    @pytest.mark.parametrize("client_id", [*USER_CLIENTS, "backend"])
    async def test_an_unknown_grant_type_is_refused_with_400(
        self, server: RunningServer, client_id: str, grant_type: str
    ) -> None:
        response = await server.app(client_id).exchange("BAD_CODE", grant_type=grant_type)
        assert oauth_error(response) == "unsupported_grant_type"

    @pytest.mark.requirement("RF-3", "R-11")
    async def test_a_grant_that_is_not_the_clients_is_refused(self, server: RunningServer) -> None:
        assert oauth_error(await server.app("backend").exchange("BAD_CODE")) == "unauthorized_client"
        for client_id in USER_CLIENTS:
            response = await server.app(client_id).post(
                "/token", {"grant_type": "client_credentials", "scope": "system/Patient.r"}
            )
            assert oauth_error(response) == "unauthorized_client"
        await register_client(server, "brief", may_refresh=False)
        brief = server.app("brief")
        assert oauth_error(await brief.refresh("x", client_id="brief")) == "unauthorized_client"
        tokens = await server.request_tokens(brief, "launch/patient patient/Patient.r offline_access")
        assert "refresh_token" not in tokens
        assert "offline_access" not in tokens["scope"].split()
