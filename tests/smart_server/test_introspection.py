"""`/introspect` (checklist 1.15, edge cases 138-143): the claims of a token, for authorized clients only."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.smart_server.admin_client import admin_request, register_client
from tests.smart_server.ehr_launcher import create_launch
from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import SECRET, RunningServer, run_smart_server
from tests.smart_server.smart_app import JWT_BEARER, App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid fhirUser offline_access patient/Observation.read patient/Patient.r"
WAYS = ["a secret", "a key", "a bearer token"]
INACTIVE = {"active": False}
# Every launch parameter except the encounter, with falsy values.
ODD_CONTEXT: dict[str, Any] = {
    "patient": "pat-a",
    "need_patient_banner": False,
    "intent": "reconcile-medications",
    "tenant": "clinic-7",
    "smart_style_url": "https://ehr.example/style/7.json",
    "fhirContext": [
        {"reference": "DiagnosticReport/123"},
        {
            "canonical": "https://ehr.example/Questionnaire/4|1",
            "type": "Questionnaire",
            "role": "https://ehr.example/r",
        },
        {"identifier": {"system": "urn:x", "value": "7"}, "type": "ImagingStudy"},
    ],
    "__own": {"a": [1, False, None]},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clocked(fhir_server: str) -> AsyncIterator[tuple[RunningServer, AdjustableClock]]:
    """A server with a clock that tests advance."""
    async with run_smart_server(fhir_server) as server:
        yield server, AdjustableClock(server)


async def issue_token(server: RunningServer, scope: str = "__introspect", **claims: Any) -> str:
    """An access token of the backend service, to introspect with."""
    app = server.app("backend")
    form: dict[str, str | None] = {"grant_type": "client_credentials", "scope": scope}
    if claims:
        form |= {"client_assertion": app.assertion(**claims)}
        form |= {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    response = await app.post("/token", form)
    assert response.status_code == 200, response.text
    return str(response.json()["access_token"])


async def introspect(server: RunningServer, token: str, method: str = "a secret", **form: str) -> httpx2.Response:
    """An introspection by an authorized client."""
    match method:
        case "a secret":
            return await server.app("https://symmetric.example").post("/introspect", {"token": token, **form})
        case "a key":
            return await server.app("backend").post("/introspect", {"token": token, **form})
    return await introspect_with_bearer(server, token, await issue_token(server), **form)


async def introspect_with_bearer(server: RunningServer, token: str, bearer: str, **form: str) -> httpx2.Response:
    """An introspection with a bearer token."""
    headers = {"authorization": f"Bearer {bearer}"}
    return await server.http.post(f"{server.issuer}/introspect", data={"token": token, **form}, headers=headers)


def introspected_claims(response: httpx2.Response) -> dict[str, Any]:
    """The response body; the response must have `no-store`."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
    return dict(response.json())


class TestActive:
    @pytest.mark.requirement(
        "IN-1", "IN-2", "IN-3", "IN-4", "IN-5", "IN-7", "IN-8", "IN-10", "edge-140", "edge-142", "edge-143", "suite-I1"
    )
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("client_id", ["public-app", "asymmetric-app", "https://symmetric.example"])
    async def test_it_says_what_the_token_response_and_the_id_token_said(
        self, server: RunningServer, client_id: str, way: str
    ) -> None:
        tokens = await server.request_tokens(server.app(client_id), SCOPE)
        answer = introspected_claims(await introspect(server, tokens["access_token"], way))
        keys = KeySet.import_key_set((await server.http.get(f"{server.issuer}/jwks")).json())
        claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
        assert answer["active"] is True
        assert sorted(answer["scope"].split()) == sorted(tokens["scope"].split())
        assert answer["client_id"] == client_id
        assert answer["token_type"] == "Bearer"
        assert answer["patient"] == tokens["patient"] == "pat-a"
        for name in ("exp", "iat"):
            assert type(answer[name]) is int
        assert answer["exp"] - answer["iat"] == tokens["expires_in"]
        assert abs(answer["iat"] - time.time()) < 30
        for name in ("iss", "sub", "fhirUser"):
            assert answer[name] == claims[name]
        assert answer["aud"] == server.base

    @pytest.mark.requirement("IN-6", "LC-1", "edge-141")
    @pytest.mark.parametrize("way", WAYS)
    async def test_context_is_told_as_it_was_false_and_odd_members_included(
        self, server: RunningServer, way: str
    ) -> None:
        app = server.app()
        scope = "launch patient/Patient.r"
        tokens = await server.request_tokens(app, scope, launch=await create_launch(server, context=ODD_CONTEXT))
        answer = introspected_claims(await introspect(server, tokens["access_token"], way))
        for name, value in ODD_CONTEXT.items():
            assert tokens[name] == value
            assert answer[name] == value

    @pytest.mark.requirement("IN-3", "edge-140")
    async def test_a_narrowed_token_has_its_own_scope(self, server: RunningServer) -> None:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        narrow = (await app.refresh(tokens["refresh_token"], scope="patient/Patient.r")).json()
        assert introspected_claims(await introspect(server, narrow["access_token"]))["scope"] == "patient/Patient.r"

    async def test_a_backend_service_is_its_own_subject(self, server: RunningServer) -> None:
        answer = introspected_claims(await introspect(server, await issue_token(server, "system/Patient.r")))
        assert (answer["client_id"], answer["sub"], answer["scope"]) == ("backend", "backend", "system/Patient.r")
        assert {"patient", "fhirUser"}.isdisjoint(answer)

    @pytest.mark.requirement("IN-9")
    @pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
    async def test_a_hint_changes_nothing(self, server: RunningServer, hint: str) -> None:
        tokens = await server.request_tokens(server.app(), SCOPE)
        assert (
            introspected_claims(await introspect(server, tokens["access_token"], token_type_hint=hint))["active"]
            is True
        )


class TestInactive:
    @pytest.mark.requirement("IN-2", "IN-9", "edge-138", "suite-I2")
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("token", ["invalid_token_value", "sga_" + "A" * 43, "a.b.c", "é", "x" * 5000, " ", "sga_"])
    async def test_what_is_no_token_is_told_to_be_inactive_and_no_more(
        self, server: RunningServer, token: str, way: str
    ) -> None:
        assert introspected_claims(await introspect(server, token, way)) == INACTIVE

    @pytest.mark.requirement("IN-9", "edge-138", "edge-62b")
    async def test_so_is_every_other_handle(self, server: RunningServer) -> None:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        for token in (tokens["refresh_token"], tokens["id_token"], await server.request_code(app, SCOPE)):
            assert introspected_claims(await introspect(server, token)) == INACTIVE

    @pytest.mark.requirement("IN-9", "edge-138")
    async def test_so_is_a_token_that_is_over(self, clocked: tuple[RunningServer, AdjustableClock]) -> None:
        server, later = clocked
        tokens = await server.request_tokens(server.app(), SCOPE)
        assert introspected_claims(await introspect(server, tokens["access_token"]))["active"] is True
        later.advance(3601)
        assert introspected_claims(await introspect(server, tokens["access_token"])) == INACTIVE

    @pytest.mark.requirement("IN-9", "edge-138")
    async def test_so_is_one_that_was_revoked(self, server: RunningServer) -> None:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        assert (await app.post("/revoke", {"token": tokens["refresh_token"]})).status_code == 200
        assert introspected_claims(await introspect(server, tokens["access_token"])) == INACTIVE

    async def test_so_is_one_of_a_client_that_was_disabled(self, server: RunningServer) -> None:
        await register_client(server, "gone")
        tokens = await server.request_tokens(server.app("gone"), SCOPE)
        await admin_request(server, "DELETE", "/clients/gone")
        assert introspected_claims(await introspect(server, tokens["access_token"])) == INACTIVE


class TestCaller:
    @pytest.mark.requirement("IN-8", "IN-9", "IN-10")
    @pytest.mark.parametrize("client_id", ["public-app", "nobody", "backend", "https://symmetric.example"])
    async def test_a_name_alone_is_answered_with_401_or_403(self, server: RunningServer, client_id: str) -> None:
        nameless = App(server.issuer, server.base, server.http, client_id)
        tokens = await server.request_tokens(server.app(), SCOPE)
        response = await nameless.post("/introspect", {"token": tokens["access_token"]})
        if client_id == "public-app":
            assert oauth_error(response, 403) == "unauthorized_client"
        else:
            assert oauth_error(response, 401) == "invalid_client"
            assert "www-authenticate" in response.headers

    @pytest.mark.requirement("IN-9")
    async def test_whoever_gives_no_name_or_a_wrong_proof_is_answered_with_401(self, server: RunningServer) -> None:
        form = {"token": (await server.request_tokens(server.app(), SCOPE))["access_token"]}
        url = f"{server.issuer}/introspect"
        assert oauth_error(await server.http.post(url, data=form), 401) == "invalid_client"
        wrong = httpx2.BasicAuth("old-app", "wrong")
        assert oauth_error(await server.http.post(url, data=form, auth=wrong), 401) == "invalid_client"
        app = server.app("backend")
        duplicate = {**form, "client_assertion": app.assertion(), "client_assertion_type":
                 "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}  # fmt: skip
        assert (await server.http.post(url, data=duplicate)).status_code == 200
        assert oauth_error(await server.http.post(url, data=duplicate), 401) == "invalid_client"

    @pytest.mark.requirement("IN-8", "R-11")
    @pytest.mark.parametrize("client_id", ["old-app", "asymmetric-app"])
    async def test_a_client_that_may_not_ask_is_refused(self, server: RunningServer, client_id: str) -> None:
        app = server.app(client_id)
        tokens = await server.request_tokens(app, SCOPE)
        response = await app.post("/introspect", {"token": tokens["access_token"]})
        assert oauth_error(response, 403) == "unauthorized_client"

    @pytest.mark.requirement("IN-9")
    @pytest.mark.parametrize(
        ("form", "status"),
        [
            ("token=x&token=y&client_id=public-app", 403),
            ("token_type_hint=x&token_type_hint=y&client_id=public-app", 403),
            ("token=x&client_id=public-app&client_id=old-app", 401),
            ("token=x&client_id=backend&client_secret=a&client_assertion=b", 401),
            (f"token=x&client_id=backend&client_assertion_type={JWT_BEARER}", 401),
            ("token=x&client_assertion=b&client_assertion=c", 401),
            ("", 401),
        ],
        ids=["two tokens", "two hints", "two names", "two ways", "half an assertion", "two assertions", "nothing"],
    )  # fmt: skip
    async def test_whatever_else_is_wrong_who_may_not_ask_is_told_that_first(
        self, server: RunningServer, form: str, status: int
    ) -> None:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        response = await server.http.post(f"{server.issuer}/introspect", content=form, headers=headers)
        assert oauth_error(response, status) in {"invalid_client", "unauthorized_client"}
        assert ("www-authenticate" in response.headers) is (status == 401)

    @pytest.mark.requirement("IN-8", "edge-139")
    async def test_a_bearer_token_that_is_over_is_answered_with_401(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, later = clocked
        bearer = await issue_token(server, exp=later.now + 300)
        tokens = await server.request_tokens(server.app(), SCOPE)
        assert (
            introspected_claims(await introspect_with_bearer(server, tokens["access_token"], bearer))["active"] is True
        )
        later.advance(301)
        for token in (bearer, "sga_" + "A" * 43, "nonsense"):
            response = await introspect_with_bearer(server, tokens["access_token"], token)
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith("B")
            assert "active" not in response.json()

    @pytest.mark.requirement("IN-8", "IN-10")
    async def test_a_bearer_token_without_the_scope_is_answered_with_403(self, server: RunningServer) -> None:
        tokens = await server.request_tokens(server.app(), SCOPE)
        for bearer in (tokens["access_token"], await issue_token(server, "system/Patient.r")):
            response = await introspect_with_bearer(server, tokens["access_token"], bearer)
            assert response.status_code == 403
            assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
            assert "active" not in response.json()

    @pytest.mark.requirement("IN-9")
    async def test_a_question_without_a_token_or_with_two_is_refused(self, server: RunningServer) -> None:
        app = server.app("backend")
        assert oauth_error(await app.post("/introspect", {})) == "invalid_request"
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "authorization": f"Bearer {await issue_token(server)}",
        }
        url = f"{server.issuer}/introspect"
        assert oauth_error(await server.http.post(url, content="token=a&token=b", headers=headers)) == "invalid_request"
        for method in ("GET", "PUT"):
            assert (await server.http.request(method, f"{url}?token=x")).status_code == 405


class TestClientThatOnlyIntrospects:
    @pytest.mark.requirement("IN-8", "R-5")
    async def test_it_needs_no_redirect_uri_and_can_do_nothing_else(self, server: RunningServer) -> None:
        await register_client(
            server, "pharmacy-api", redirect_uris=[], grant_types=[], may_introspect=True,
            type="confidential-symmetric", client_secret=SECRET,
        )  # fmt: skip
        app = App(server.issuer, server.base, server.http, "pharmacy-api", secret=SECRET)
        tokens = await server.request_tokens(server.app(), SCOPE)
        response = await app.post("/introspect", {"token": tokens["access_token"]})
        assert introspected_claims(response)["client_id"] == "public-app"
        page = await server.http.get(app.authorization_url(SCOPE))
        assert (page.status_code, "location" in page.headers) == (400, False)
        for form in ({"grant_type": "client_credentials", "scope": "system/Patient.r"},
                     {"grant_type": "authorization_code", "code": "x", "redirect_uri": "https://x.example/"},
                     {"grant_type": "refresh_token", "refresh_token": "x"}):  # fmt: skip
            assert oauth_error(await app.post("/token", dict(form))) == "unauthorized_client"
