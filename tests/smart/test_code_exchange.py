"""The token endpoint with a code (checklist 1.8 and 1.22): what it gives, and everything that it must refuse."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
import pytest_asyncio

from gateway.oauth.pkce import challenge_of
from tests.smart.admin import administer, register
from tests.smart.app import JWT_BEARER, App
from tests.smart.house import CALLBACK, SECRET, House, smart_house
from tests.smart.later import Later
from tests.telemetry.log_lines import log_lines

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.r"
PLAIN = "launch/patient patient/Patient.r"
TOKENS = ("access_token", "refresh_token", "id_token")
KINDS = ["public-app", "https://symmetric.example", "asymmetric-app"]


def error_of(response: httpx2.Response, status: int = 400) -> str:
    """The error code of a refusal, whose form is that of RFC 6749 5.2 and which nobody stores."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
    body = response.json()
    assert set(body) == {"error", "error_description"}
    assert body["error_description"].isascii()
    assert not {'"', "\\"} & set(body["error_description"])
    return str(body["error"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clocked(fhir_server: str) -> AsyncIterator[tuple[House, Later]]:
    """A house whose time passes when a test says so."""

    def short(settings: dict[str, Any]) -> None:
        settings["smart_server"]["clients"][1]["access_token_seconds"] = 600

    async with smart_house(fhir_server, change=short) as house:
        yield house, Later(house)


class TestAnswer:
    @pytest.mark.requirement("T-1", "T-6", "T-7", "T-8", "T-9", "T-11", "T-12", "T-13", "edge-52", "edge-53", "edge-54")
    @pytest.mark.parametrize("client_id", KINDS)
    async def test_it_has_every_member_in_its_form_and_nobody_stores_it(self, house: House, client_id: str) -> None:
        app = house.app(client_id)
        response = await app.exchange(await house.code(app, SCOPE))
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
        body = response.json()
        assert set(body) == {
            "access_token", "token_type", "expires_in", "scope", "patient", "refresh_token", "id_token",
        }  # fmt: skip
        assert body["token_type"] == "Bearer"
        assert type(body["expires_in"]) is int
        assert 120 <= body["expires_in"] <= 3600
        assert set(body["scope"].split()) == set(SCOPE.split())
        assert body["patient"] == "pat-a"

    @pytest.mark.requirement("edge-55", "T-9")
    async def test_without_offline_access_there_is_no_refresh_token_nor_without_openid_an_id_token(
        self, house: House
    ) -> None:
        body = await house.tokens(house.app(), PLAIN)
        assert set(body) == {"access_token", "token_type", "expires_in", "scope", "patient"}

    async def test_a_client_may_have_a_life_of_its_own_for_its_tokens(self, clocked: tuple[House, Later]) -> None:
        house, _ = clocked
        assert (await house.tokens(house.app("other-app"), PLAIN))["expires_in"] == 600

    @pytest.mark.requirement("T-8", "RS-1", "BS-13")
    async def test_a_token_is_refused_after_its_last_second(self, clocked: tuple[House, Later]) -> None:
        house, later = clocked
        app = house.app()
        token = (await house.tokens(app, PLAIN))["access_token"]
        later.wait(3590)
        assert (await app.read("/Patient/pat-a", token)).status_code == 200
        later.wait(20)
        over = await app.read("/Patient/pat-a", token)
        assert over.status_code == 401
        assert 'error="invalid_token"' in over.headers["www-authenticate"]

    @pytest.mark.parametrize(
        ("scope", "told"),
        [
            (
                "launch/patient openid fhirUser",
                {"sub": "doctor", "name": "Dr Dora Demo", "fhirUser": "{base}/Practitioner/practitioner-1"},
            ),
            ("launch/patient openid patient/Patient.r", {"sub": "doctor", "name": "Dr Dora Demo"}),
            ("launch/patient patient/Patient.r", None),
        ],
        ids=[
            "with openid and fhirUser: who it is, and the address of the resource",
            "with openid alone: who it is",
            "without openid: nothing",
        ],
    )
    async def test_who_signed_in_is_told_beside_the_tokens_where_a_client_is_registered_so(
        self, house: House, scope: str, told: dict[str, str] | None
    ) -> None:
        await register(house, "aidbox-app", userinfo_in_token_response=True)
        body = await house.tokens(house.app("aidbox-app"), scope)
        assert body.get("userinfo") == (
            None if told is None else {name: value.format(base=house.base) for name, value in told.items()}
        )

    async def test_who_signed_in_is_not_told_to_other_clients(self, house: House) -> None:
        assert "userinfo" not in await house.tokens(house.app(), SCOPE)


class TestSecondUse:
    @pytest.mark.requirement("T-14", "edge-46")
    @pytest.mark.parametrize("client_id", KINDS)
    async def test_it_is_refused_and_ends_what_the_first_one_brought(self, house: House, client_id: str) -> None:
        app = house.app(client_id)
        code = await house.code(app, SCOPE)
        first = (await app.exchange(code)).json()
        assert (await app.read("/Patient/pat-a", first["access_token"])).status_code == 200
        assert error_of(await app.exchange(code)) == "invalid_grant"
        assert (await app.read("/Patient/pat-a", first["access_token"])).status_code == 401
        assert error_of(await app.refresh(first["refresh_token"])) == "invalid_grant"

    @pytest.mark.requirement("T-14", "edge-46")
    async def test_of_many_at_once_one_at_most_gets_tokens_and_loses_them(self, house: House) -> None:
        app = house.app()
        code = await house.code(app, SCOPE)
        answers = await asyncio.gather(*(app.exchange(code) for _ in range(8)))
        won = [one for one in answers if one.status_code == 200]
        assert len(won) <= 1
        assert {error_of(one) for one in answers if one not in won} == {"invalid_grant"}
        for one in won:
            assert (await app.read("/Patient/pat-a", one.json()["access_token"])).status_code == 401
            assert error_of(await app.refresh(one.json()["refresh_token"])) == "invalid_grant"

    async def test_a_code_is_over_after_its_minute(self, clocked: tuple[House, Later]) -> None:
        house, later = clocked
        app = house.app()
        code = await house.code(app, PLAIN)
        later.wait(61)
        assert error_of(await app.exchange(code)) == "invalid_grant"


def _wrong_verifiers(app: App) -> dict[str, str | None]:
    return {
        "none": None,
        "an empty one": "",
        "another one": "0" * 43,
        "two joined uuids": "0d2b2b9a-2b7e-4b62-9d35-1f8f3a9f2f11-0d2b2b9a-2b7e-4b62-9d35-1f8f3a9f2f11",
        "the challenge itself": challenge_of(app.verifier),
        "the right one, with a letter more": app.verifier + "x",
        "the right one, in other case": app.verifier.swapcase(),
        "one of 42 characters": "0" * 42,
        "one of 129 characters": "0" * 129,
        "one with other characters": "é" * 50,
    }


class TestVerifier:
    @pytest.mark.requirement("T-2", "T-5", "T-15", "PK-1", "edge-47", "suite-P1", "suite-P2", "suite-P3", "suite-P4")
    @pytest.mark.parametrize("what", list(_wrong_verifiers(App("", "", None))))  # type: ignore[arg-type]  # no request
    async def test_a_wrong_one_is_refused_and_burns_the_code(self, house: House, what: str) -> None:
        app, person = house.app("house-app"), None
        code = await house.code(app, PLAIN, person=person)
        assert error_of(await app.exchange(code, code_verifier=_wrong_verifiers(app)[what])) == "invalid_grant"
        assert error_of(await app.exchange(code)) == "invalid_grant"

    @pytest.mark.requirement("PK-2", "PK-3", "T-15")
    @pytest.mark.parametrize("client_id", KINDS)
    @pytest.mark.parametrize("length", [43, 128])
    async def test_the_right_one_of_any_length_gets_tokens(self, house: House, client_id: str, length: int) -> None:
        app = house.app(client_id, verifier=("aZ9-._~" * 19)[:length])
        assert "access_token" in await house.tokens(app, PLAIN)

    @pytest.mark.requirement("PK-1")
    @pytest.mark.parametrize("client_id", KINDS)
    @pytest.mark.parametrize("method", ["plain", "s256", None])
    async def test_no_code_comes_of_another_method(self, house: House, client_id: str, method: str | None) -> None:
        app = house.app(client_id)
        page = await house.person().go(app.authorization_url(PLAIN, code_challenge_method=method))
        assert page.parameters["error"] == "invalid_request"
        assert "code" not in page.parameters

    @pytest.mark.requirement("PK-2")
    @pytest.mark.parametrize("client_id", KINDS)
    async def test_no_code_comes_without_a_challenge(self, house: House, client_id: str) -> None:
        app = house.app(client_id)
        page = await house.person().go(app.authorization_url(PLAIN, code_challenge=None, code_challenge_method=None))
        assert page.parameters["error"] == "invalid_request"

    async def test_a_client_that_may_go_without_gets_tokens_without_but_not_with_a_verifier(self, house: House) -> None:
        app = house.app("old-app")
        none = {"code_challenge": None, "code_challenge_method": None}
        code = await house.code(app, PLAIN, **none)
        assert (await app.exchange(code, code_verifier=None)).status_code == 200
        injected = await house.code(app, PLAIN, **none)
        assert error_of(await app.exchange(injected)) == "invalid_grant"

    async def test_a_challenge_counts_where_a_client_could_go_without(self, house: House) -> None:
        app = house.app("old-app")
        assert error_of(await app.exchange(await house.code(app, PLAIN), code_verifier=None)) == "invalid_grant"


class TestBinding:
    @pytest.mark.requirement("T-2", "edge-48")
    @pytest.mark.parametrize(
        ("redirect_uri", "error"),
        [
            (None, "invalid_request"),
            ("", "invalid_request"),
            (f"{CALLBACK}?tenant=7", "invalid_grant"),
            (f"{CALLBACK}/", "invalid_grant"),
            (CALLBACK.upper(), "invalid_grant"),
            ("https://evil.example/callback", "invalid_grant"),
        ],
        ids=["none", "empty", "another one of the client", "with a slash", "in capitals", "somebody else's"],
    )
    async def test_another_redirect_uri_is_refused(self, house: House, redirect_uri: str | None, error: str) -> None:
        app = house.app("house-app")
        code = await house.code(app, PLAIN)
        assert error_of(await app.exchange(code, redirect_uri=redirect_uri)) == error

    @pytest.mark.requirement("edge-49", "T-2")
    @pytest.mark.parametrize("thief", ["other-app", "https://symmetric.example", "asymmetric-app"])
    async def test_the_code_of_another_client_is_refused_like_one_that_never_was(
        self, house: House, thief: str
    ) -> None:
        app = house.app("house-app")
        code = await house.code(app, PLAIN)
        other = house.app(thief, verifier=app.verifier)
        stolen, made_up = await other.exchange(code), await other.exchange("sgc_" + "A" * 43)
        assert error_of(stolen) == "invalid_grant"
        assert stolen.json() == made_up.json()

    @pytest.mark.requirement("edge-50", "suite-C1")
    @pytest.mark.parametrize("client_id", [*KINDS, "old-app"])
    @pytest.mark.parametrize("code", ["BAD_CODE", "sgc_" + "A" * 43, "x" * 5000, "code\r\nwith: lines", "☃"])
    async def test_a_made_up_code_is_refused_with_400(self, house: House, client_id: str, code: str) -> None:
        assert error_of(await house.app(client_id).exchange(code)) == "invalid_grant"

    @pytest.mark.requirement("edge-62b")
    async def test_no_other_handle_is_a_code(self, house: House) -> None:
        app = house.app()
        tokens = await house.tokens(app, SCOPE)
        for name in ("access_token", "refresh_token", "id_token"):
            assert error_of(await app.exchange(tokens[name])) == "invalid_grant"

    @pytest.mark.requirement("T-3", "CA-8", "edge-74")
    @pytest.mark.parametrize("client_id", ["https://symmetric.example", "asymmetric-app"])
    async def test_a_client_id_beside_the_proof_must_be_the_same(self, house: House, client_id: str) -> None:
        app = house.app(client_id)
        code = await house.code(app, PLAIN)
        assert error_of(await app.exchange(code, client_id="public-app")) == "invalid_client"
        assert (await app.exchange(code, client_id=client_id, state="as fhirclient sends it")).status_code == 200

    @pytest.mark.requirement("T-3", "PK-3")
    @pytest.mark.parametrize("client_id", [None, "", "nobody"], ids=["none", "empty", "unknown"])
    async def test_a_public_app_must_name_itself(self, house: House, client_id: str | None) -> None:
        app = house.app()
        assert error_of(await app.exchange("BAD_CODE", client_id=client_id)) == "invalid_client"

    @pytest.mark.requirement("T-4", "edge-63")
    @pytest.mark.parametrize("client_id", ["https://symmetric.example", "asymmetric-app", "old-app", "backend"])
    async def test_a_confidential_app_must_prove_itself(self, house: House, client_id: str) -> None:
        app = house.app(client_id)
        pretender = App(house.issuer, house.base, house.http, client_id, verifier=app.verifier)
        code = await house.code(app, PLAIN) if client_id != "backend" else "BAD_CODE"
        assert error_of(await pretender.exchange(code)) == "invalid_client"


class TestRights:
    @pytest.mark.requirement("edge-56", "G-2")
    async def test_what_a_client_may_not_have_any_more_is_not_issued(self, house: House) -> None:
        await register(house, "shrinking", scopes="launch/patient patient/*.rs offline_access")
        app = house.app("shrinking")
        code = await house.code(app, "launch/patient patient/Patient.rs patient/Observation.rs offline_access")
        await register(house, "shrinking", scopes="launch/patient patient/Patient.r offline_access")
        body = (await app.exchange(code)).json()
        assert set(body["scope"].split()) == {"launch/patient", "patient/Patient.r", "offline_access"}
        assert (await app.read("/Patient/pat-a", body["access_token"])).status_code == 200
        assert (await app.read("/Observation", body["access_token"])).status_code == 403

    @pytest.mark.requirement("edge-56", "RF-5")
    async def test_nor_is_it_at_the_next_refresh(self, house: House) -> None:
        await register(house, "refreshing", scopes="launch/patient patient/*.rs offline_access")
        app = house.app("refreshing")
        tokens = await house.tokens(app, "launch/patient patient/Patient.rs patient/Observation.rs offline_access")
        await register(house, "refreshing", scopes="launch/patient patient/Patient.r offline_access")
        body = (await app.refresh(tokens["refresh_token"])).json()
        assert set(body["scope"].split()) == {"launch/patient", "patient/Patient.r", "offline_access"}

    @pytest.mark.requirement("edge-56")
    async def test_where_nothing_is_left_the_code_is_void(self, house: House) -> None:
        await register(house, "emptied", scopes="patient/Patient.rs")
        app = house.app("emptied")
        code = await house.code(app, "patient/Patient.rs")
        await register(house, "emptied", scopes="patient/Observation.rs")
        assert error_of(await app.exchange(code)) == "invalid_grant"

    @pytest.mark.requirement("edge-56")
    async def test_a_client_that_was_disabled_meanwhile_gets_nothing(self, house: House) -> None:
        await register(house, "leaving")
        app = house.app("leaving")
        code = await house.code(app, PLAIN)
        assert (await administer(house, "DELETE", "/clients/leaving")).status_code == 200
        assert error_of(await app.exchange(code)) == "invalid_client"


async def test_no_secret_is_written_to_the_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    app, asymmetric = house.app("https://symmetric.example"), house.app("asymmetric-app")
    code, assertion = await house.code(app, SCOPE), asymmetric.assertion()
    tokens = (await app.exchange(code)).json()
    newer = (await app.refresh(tokens["refresh_token"])).json()
    await app.exchange(code)
    await app.refresh(tokens["refresh_token"])
    await house.app("https://symmetric.example", secret="a-wrong-secret").exchange(code)
    for _ in range(2):
        await asymmetric.exchange("a-made-up-code", client_assertion=assertion, client_assertion_type=JWT_BEARER)
    await app.post("/introspect", {"token": newer["access_token"]})
    await app.post("/revoke", {"token": newer["refresh_token"]})
    await app.exchange("x", client_secret="a-secret-in-the-body")
    written = json.dumps(log_lines(caplog))
    assert "token refused" in written
    secrets = [code, assertion, SECRET, "a-wrong-secret", "a-made-up-code", "a-secret-in-the-body", app.verifier]
    for one in [*secrets, *(body[name] for body in (tokens, newer) for name in TOKENS)]:
        assert one not in written


FORM = {"grant_type": "authorization_code", "code": "BAD_CODE", "redirect_uri": CALLBACK, "client_id": "public-app"}


class TestForm:
    @pytest.mark.requirement("T-1", "edge-51")
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
    async def test_only_post_will_do(self, house: House, method: str) -> None:
        response = await house.http.request(method, f"{house.issuer}/token?{urlencode(FORM)}")
        assert response.status_code == 405
        assert "POST" in response.headers["allow"]

    @pytest.mark.requirement("edge-51")
    @pytest.mark.parametrize("name", ["code", "grant_type", "client_secret", "whatever"])
    async def test_a_parameter_in_the_address_is_refused(self, house: House, name: str) -> None:
        response = await house.http.post(f"{house.issuer}/token?{name}=x", data=FORM)
        assert error_of(response) == "invalid_request"

    @pytest.mark.parametrize("client_id", ["public-app", "https://symmetric.example"])
    async def test_json_will_do_as_well_as_aidbox_apps_send_it(self, house: House, client_id: str) -> None:
        app = house.app(client_id)
        code = await house.code(app, PLAIN)
        body = {**FORM, "client_id": client_id, "code": code, "code_verifier": app.verifier}
        # An id with a colon of its own, raw, as careless clients send it (edge case 65).
        auth = {"auth": httpx2.BasicAuth(client_id, app.secret)} if app.secret else {}
        response = await house.http.post(f"{house.issuer}/token", json=body, **auth)  # type: ignore[arg-type]  # one option
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
    async def test_any_other_body_is_refused(self, house: House, kind: str, body: bytes) -> None:
        headers = {"content-type": kind} if kind else {}
        response = await house.http.post(f"{house.issuer}/token", content=body, headers=headers)
        assert error_of(response) == "invalid_request"

    @pytest.mark.parametrize(
        "name",
        ["grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret", "client_assertion",
         "client_assertion_type", "refresh_token", "scope"],
    )  # fmt: skip
    async def test_a_parameter_that_came_twice_is_refused(self, house: House, name: str) -> None:
        pairs = [*FORM.items(), (name, "one"), (name, "two")]
        headers = {"content-type": "application/x-www-form-urlencoded"}
        response = await house.http.post(f"{house.issuer}/token", content=urlencode(pairs), headers=headers)
        assert error_of(response) == "invalid_request"

    @pytest.mark.requirement("T-2")
    @pytest.mark.parametrize("name", ["grant_type", "code", "redirect_uri"])
    async def test_a_parameter_that_is_missing_is_named(self, house: House, name: str) -> None:
        response = await house.http.post(f"{house.issuer}/token", data={**FORM, name: ""})
        assert error_of(response) == "invalid_request"
        assert name in response.json()["error_description"]

    @pytest.mark.requirement("suite-B1", "ER-1", "ER-2")
    @pytest.mark.parametrize("grant_type", ["not_a_grant_type", "password", "implicit", "Authorization_Code",
                                            "urn:ietf:params:oauth:grant-type:device_code"])  # fmt: skip
    @pytest.mark.parametrize("client_id", [*KINDS, "backend"])
    async def test_an_unknown_grant_type_is_refused_with_400(
        self, house: House, client_id: str, grant_type: str
    ) -> None:
        response = await house.app(client_id).exchange("BAD_CODE", grant_type=grant_type)
        assert error_of(response) == "unsupported_grant_type"

    @pytest.mark.requirement("RF-3", "R-11")
    async def test_a_grant_that_is_not_the_clients_is_refused(self, house: House) -> None:
        assert error_of(await house.app("backend").exchange("BAD_CODE")) == "unauthorized_client"
        for client_id in KINDS:
            response = await house.app(client_id).post(
                "/token", {"grant_type": "client_credentials", "scope": "system/Patient.r"}
            )
            assert error_of(response) == "unauthorized_client"
        await register(house, "brief", may_refresh=False)
        brief = house.app("brief")
        assert error_of(await brief.refresh("x", client_id="brief")) == "unauthorized_client"
        tokens = await house.tokens(brief, "launch/patient patient/Patient.r offline_access")
        assert "refresh_token" not in tokens
        assert "offline_access" not in tokens["scope"].split()
