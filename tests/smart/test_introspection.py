"""Introspection (checklist 1.15, edge cases 138-143): what a token stands for, to who may know, and to nobody else."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.smart.admin import administer, register
from tests.smart.app import App
from tests.smart.house import House, smart_house
from tests.smart.later import Later
from tests.smart.launcher import launch
from tests.smart.test_code_exchange import error_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid fhirUser offline_access patient/Observation.read patient/Patient.r"
WAYS = ["a secret", "a key", "a bearer token"]
INACTIVE = {"active": False}
# Every parameter that there is but the encounter, with values that careless code drops.
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
async def clocked(fhir_server: str) -> AsyncIterator[tuple[House, Later]]:
    """A house whose time passes when a test says so."""
    async with smart_house(fhir_server) as house:
        yield house, Later(house)


async def own_token(house: House, scope: str = "__introspect", **claims: Any) -> str:
    """A token of the backend service, for asking with."""
    app = house.app("backend")
    form: dict[str, str | None] = {"grant_type": "client_credentials", "scope": scope}
    if claims:
        form |= {"client_assertion": app.assertion(**claims)}
        form |= {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    response = await app.post("/token", form)
    assert response.status_code == 200, response.text
    return str(response.json()["access_token"])


async def ask(house: House, token: str, way: str = "a secret", **form: str) -> httpx2.Response:
    """The question, by whoever may ask it."""
    match way:
        case "a secret":
            return await house.app("https://symmetric.example").post("/introspect", {"token": token, **form})
        case "a key":
            return await house.app("backend").post("/introspect", {"token": token, **form})
    return await by_bearer(house, token, await own_token(house), **form)


async def by_bearer(house: House, token: str, bearer: str, **form: str) -> httpx2.Response:
    """The question, by whoever holds a token for it."""
    headers = {"authorization": f"Bearer {bearer}"}
    return await house.http.post(f"{house.issuer}/introspect", data={"token": token, **form}, headers=headers)


def told(response: httpx2.Response) -> dict[str, Any]:
    """The answer, which nobody stores."""
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
        self, house: House, client_id: str, way: str
    ) -> None:
        tokens = await house.tokens(house.app(client_id), SCOPE)
        answer = told(await ask(house, tokens["access_token"], way))
        keys = KeySet.import_key_set((await house.http.get(f"{house.issuer}/jwks")).json())
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
        assert answer["aud"] == house.base

    @pytest.mark.requirement("IN-6", "LC-1", "edge-141")
    @pytest.mark.parametrize("way", WAYS)
    async def test_context_is_told_as_it_was_false_and_odd_members_included(self, house: House, way: str) -> None:
        app = house.app()
        scope = "launch patient/Patient.r"
        tokens = await house.tokens(app, scope, launch=await launch(house, context=ODD_CONTEXT))
        answer = told(await ask(house, tokens["access_token"], way))
        for name, value in ODD_CONTEXT.items():
            assert tokens[name] == value
            assert answer[name] == value

    @pytest.mark.requirement("IN-3", "edge-140")
    async def test_a_narrowed_token_has_its_own_scope(self, house: House) -> None:
        app = house.app()
        tokens = await house.tokens(app, SCOPE)
        narrow = (await app.refresh(tokens["refresh_token"], scope="patient/Patient.r")).json()
        assert told(await ask(house, narrow["access_token"]))["scope"] == "patient/Patient.r"

    async def test_a_backend_service_is_its_own_subject(self, house: House) -> None:
        answer = told(await ask(house, await own_token(house, "system/Patient.r")))
        assert (answer["client_id"], answer["sub"], answer["scope"]) == ("backend", "backend", "system/Patient.r")
        assert {"patient", "fhirUser"}.isdisjoint(answer)

    @pytest.mark.requirement("IN-9")
    @pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
    async def test_a_hint_changes_nothing(self, house: House, hint: str) -> None:
        tokens = await house.tokens(house.app(), SCOPE)
        assert told(await ask(house, tokens["access_token"], token_type_hint=hint))["active"] is True


class TestInactive:
    @pytest.mark.requirement("IN-2", "IN-9", "edge-138", "suite-I2")
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("token", ["invalid_token_value", "sga_" + "A" * 43, "a.b.c", "é", "x" * 5000, " ", "sga_"])
    async def test_what_is_no_token_is_told_to_be_inactive_and_no_more(
        self, house: House, token: str, way: str
    ) -> None:
        assert told(await ask(house, token, way)) == INACTIVE

    @pytest.mark.requirement("IN-9", "edge-138", "edge-62b")
    async def test_so_is_every_other_handle(self, house: House) -> None:
        app = house.app()
        tokens = await house.tokens(app, SCOPE)
        for one in (tokens["refresh_token"], tokens["id_token"], await house.code(app, SCOPE)):
            assert told(await ask(house, one)) == INACTIVE

    @pytest.mark.requirement("IN-9", "edge-138")
    async def test_so_is_a_token_that_is_over(self, clocked: tuple[House, Later]) -> None:
        house, later = clocked
        tokens = await house.tokens(house.app(), SCOPE)
        assert told(await ask(house, tokens["access_token"]))["active"] is True
        later.wait(3601)
        assert told(await ask(house, tokens["access_token"])) == INACTIVE

    @pytest.mark.requirement("IN-9", "edge-138")
    async def test_so_is_one_that_was_revoked(self, house: House) -> None:
        app = house.app()
        tokens = await house.tokens(app, SCOPE)
        assert (await app.post("/revoke", {"token": tokens["refresh_token"]})).status_code == 200
        assert told(await ask(house, tokens["access_token"])) == INACTIVE

    async def test_so_is_one_of_a_client_that_was_disabled(self, house: House) -> None:
        await register(house, "gone")
        tokens = await house.tokens(house.app("gone"), SCOPE)
        await administer(house, "DELETE", "/clients/gone")
        assert told(await ask(house, tokens["access_token"])) == INACTIVE


class TestCaller:
    @pytest.mark.requirement("IN-8", "IN-9", "IN-10")
    @pytest.mark.parametrize("client_id", ["public-app", "nobody", "backend", "https://symmetric.example"])
    async def test_a_name_alone_is_answered_with_401(self, house: House, client_id: str) -> None:
        nameless = App(house.issuer, house.base, house.http, client_id)
        tokens = await house.tokens(house.app(), SCOPE)
        response = await nameless.post("/introspect", {"token": tokens["access_token"]})
        if client_id == "public-app":
            assert error_of(response) == "unauthorized_client"
        else:
            assert error_of(response, 401) == "invalid_client"
            assert "www-authenticate" in response.headers

    @pytest.mark.requirement("IN-9")
    async def test_whoever_gives_no_name_or_a_wrong_proof_is_answered_with_401(self, house: House) -> None:
        form = {"token": (await house.tokens(house.app(), SCOPE))["access_token"]}
        url = f"{house.issuer}/introspect"
        assert error_of(await house.http.post(url, data=form), 401) == "invalid_client"
        wrong = httpx2.BasicAuth("old-app", "wrong")
        assert error_of(await house.http.post(url, data=form, auth=wrong), 401) == "invalid_client"
        app = house.app("backend")
        twice = {**form, "client_assertion": app.assertion(), "client_assertion_type":
                 "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}  # fmt: skip
        assert (await house.http.post(url, data=twice)).status_code == 200
        assert error_of(await house.http.post(url, data=twice), 401) == "invalid_client"

    @pytest.mark.requirement("IN-8", "R-11")
    @pytest.mark.parametrize("client_id", ["old-app", "asymmetric-app"])
    async def test_a_client_that_may_not_ask_is_refused(self, house: House, client_id: str) -> None:
        app = house.app(client_id)
        tokens = await house.tokens(app, SCOPE)
        response = await app.post("/introspect", {"token": tokens["access_token"]})
        assert error_of(response) == "unauthorized_client"

    @pytest.mark.requirement("IN-8", "edge-139")
    async def test_a_bearer_token_that_is_over_is_answered_with_401(self, clocked: tuple[House, Later]) -> None:
        house, later = clocked
        bearer = await own_token(house, exp=later.now + 300)
        tokens = await house.tokens(house.app(), SCOPE)
        assert told(await by_bearer(house, tokens["access_token"], bearer))["active"] is True
        later.wait(301)
        for one in (bearer, "sga_" + "A" * 43, "nonsense"):
            response = await by_bearer(house, tokens["access_token"], one)
            assert response.status_code == 401
            assert response.headers["www-authenticate"].startswith("B")
            assert "active" not in response.json()

    @pytest.mark.requirement("IN-8", "IN-10")
    async def test_a_bearer_token_without_the_scope_is_answered_with_403(self, house: House) -> None:
        tokens = await house.tokens(house.app(), SCOPE)
        for bearer in (tokens["access_token"], await own_token(house, "system/Patient.r")):
            response = await by_bearer(house, tokens["access_token"], bearer)
            assert response.status_code == 403
            assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
            assert "active" not in response.json()

    @pytest.mark.requirement("IN-9")
    async def test_a_question_without_a_token_or_with_two_is_refused(self, house: House) -> None:
        app = house.app("backend")
        assert error_of(await app.post("/introspect", {})) == "invalid_request"
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "authorization": f"Bearer {await own_token(house)}",
        }
        url = f"{house.issuer}/introspect"
        assert error_of(await house.http.post(url, content="token=a&token=b", headers=headers)) == "invalid_request"
        for method in ("GET", "PUT"):
            assert (await house.http.request(method, f"{url}?token=x")).status_code == 405
