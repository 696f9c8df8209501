"""The admin API and registration (checklist 1.2): clients and users that are added while the gateway runs."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from joserfc.jwk import ECKey

from gateway.keys.passwords import hash_password
from tests.keys.issuing import private_key, published
from tests.smart.admin import administer, register
from tests.smart.app import App
from tests.smart.house import ADMIN_TOKEN, CALLBACK, House, jwks, smart_house
from tests.smart.test_code_exchange import error_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

KEY = ECKey.generate_key("P-384", parameters={"kid": "service-1"})
SCOPE = "launch/patient openid patient/Patient.r"
ENTRY = {"client_id": "added", "name": "Added", "redirect_uris": [CALLBACK]}


def problems(response: httpx2.Response, status: int = 400) -> list[str]:
    """What an entry was refused for."""
    assert response.status_code == status, response.text
    assert set(response.json()) == {"problems"}
    return list(response.json()["problems"])


async def stored(house: House, key: str) -> str:
    """What the store keeps under a key."""
    assert house.gateway._smart is not None
    return (await house.gateway._smart.store.get(key) or b"").decode()


class TestDoor:
    @pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic YTpi", "wrong"])
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/clients"),
            ("POST", "/clients"),
            ("GET", "/clients/public-app"),
            ("DELETE", "/clients/public-app"),
            ("POST", "/users"),
            ("POST", "/token"),
            ("POST", "/keys/rotate"),
        ],
    )
    async def test_nothing_is_done_without_the_admin_token(
        self, house: House, method: str, path: str, authorization: str | None
    ) -> None:
        headers = {} if authorization is None else {"authorization": authorization}
        response = await house.http.request(method, f"{house.issuer}/admin{path}", headers=headers, json=ENTRY)
        assert len(problems(response, 401)) == 1
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert (await administer(house, "GET", "/clients/added")).status_code == 404

    async def test_no_token_of_an_app_opens_it(self, house: House) -> None:
        tokens = await house.tokens(house.app(), SCOPE)
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        assert (await house.http.get(f"{house.issuer}/admin/clients", headers=headers)).status_code == 401

    async def test_without_an_admin_token_in_the_configuration_there_is_no_way_in(self, fhir_server: str) -> None:
        def closed(settings: dict[str, Any]) -> None:
            del settings["smart_server"]["admin_token"]

        async with smart_house(fhir_server, change=closed) as house:
            assert (await administer(house, "GET", "/clients")).status_code == 401
            empty = {"authorization": "Bearer "[:-1]}
            assert (await house.http.get(f"{house.issuer}/admin/clients", headers=empty)).status_code == 401


class TestClients:
    @pytest.mark.requirement("R-1", "R-2", "R-3")
    async def test_an_added_client_works_at_once_is_listed_and_shown(self, house: House) -> None:
        assert await register(house, "fresh", purpose="Shows how a child grows.") == {
            "client_id": "fresh", "name": "fresh", "redirect_uris": [CALLBACK], "purpose": "Shows how a child grows.",
        }  # fmt: skip
        assert (await house.tokens(house.app("fresh"), SCOPE))["patient"] == "pat-a"
        listed = (await administer(house, "GET", "/clients")).json()["clients"]
        assert {"client_id": "fresh", "name": "fresh", "authentication": "none", "disabled": False,
                "from": "registration"} in listed  # fmt: skip
        assert [one["from"] for one in listed if one["client_id"] == "public-app"] == ["configuration"]
        shown = (await administer(house, "GET", "/clients/fresh")).json()
        assert shown["redirect_uris"] == [CALLBACK]

    @pytest.mark.requirement("R-3")
    async def test_a_client_without_an_id_is_given_one(self, house: House) -> None:
        response = await administer(house, "POST", "/clients", {"name": "Nameless", "redirect_uris": [CALLBACK]})
        assert response.status_code == 201
        assert len(response.json()["client_id"]) >= 16

    @pytest.mark.requirement("R-5")
    async def test_a_secret_is_told_once_and_kept_as_its_hash(self, house: House) -> None:
        told = await register(house, "secretive", type="confidential-symmetric")
        secret = told["client_secret"]
        assert len(secret) >= 32
        assert "client_secret_hash" not in told
        app = App(house.issuer, house.base, house.http, "secretive", secret=secret)
        assert (await house.tokens(app, SCOPE))["patient"] == "pat-a"
        kept = await stored(house, "client:secretive")
        assert secret not in kept
        assert "$argon2id$" in kept
        for path in ("/clients", "/clients/secretive"):
            shown = (await administer(house, "GET", path)).text
            assert "argon2" not in shown
            assert secret not in shown

    async def test_a_secret_of_the_operators_choice_is_hashed_too_and_not_told_again(self, house: House) -> None:
        secret = "a secret of the operator's choice"
        told = await register(house, "chosen", type="confidential-symmetric", client_secret=secret)
        assert {"client_secret", "client_secret_hash"}.isdisjoint(told)
        assert secret not in await stored(house, "client:chosen")
        app = App(house.issuer, house.base, house.http, "chosen", secret=secret)
        assert error_of(await app.exchange("BAD_CODE")) == "invalid_grant"
        hashed = hash_password(secret)
        await register(house, "hashed", type="confidential-symmetric", client_secret_hash=hashed)
        app.client_id = "hashed"
        assert error_of(await app.exchange("BAD_CODE")) == "invalid_grant"

    @pytest.mark.requirement("R-2", "R-5", "R-9", "R-10", "R-11")
    @pytest.mark.parametrize(
        ("entry", "named"),
        [
            ({"redirect_uris": []}, ["redirect_uris"]),
            ({"redirect_uris": ["https://*.example/callback"]}, ["redirect_uris"]),
            ({"redirect_uris": [f"{CALLBACK}#x"]}, ["redirect_uris"]),
            ({"redirect_uris": ["javascript:alert(1)"]}, ["redirect_uris"]),
            ({"name": "", "scopes": "patient/Nonsense.rs", "logo": "x"}, ["name", "scopes", "logo"]),
            ({"type": "secret"}, ["type"]),
            ({"unheard_of": 1, "may_refresh": "maybe"}, ["unheard_of", "may_refresh"]),
            ({"client_secret": "x" * 32}, ["client_secret"]),
            ({"type": "confidential-symmetric", "client_secret": ""}, ["client_secret"]),
            ({"type": "confidential-symmetric", "client_secret": "x", "client_secret_hash": "y"}, ["client_secret"]),
            ({"type": "confidential-asymmetric"}, ["jwks", "jwks_uri"]),
            ({"type": "confidential-asymmetric", "jwks": {"keys": []}}, ["jwks"]),
            (
                {"type": "confidential-asymmetric", "jwks": {"keys": [published(private_key("ES384"), None)]}},
                ["jwks", "kid"],
            ),
            (
                {"type": "confidential-asymmetric", "jwks": {"keys": [published(private_key("ES384"))] * 2}},
                ["jwks", "kid"],
            ),
            ({"require_pkce": False}, ["require_pkce"]),
            ({"grant_types": ["client_credentials"]}, ["grant_types", "scopes"]),
            ({"grant_types": ["password"]}, ["grant_types"]),
            ({"client_id": "with space"}, ["client_id"]),
            ({"client_id": 7, "name": None}, ["client_id", "name"]),
        ],
        ids=lambda value: str(value)[:70] if isinstance(value, dict) else None,
    )
    async def test_a_wrong_entry_is_refused_with_every_problem(
        self, house: House, entry: dict[str, Any], named: list[str]
    ) -> None:
        whole = {**ENTRY, "client_id": "refused", **entry}
        told = problems(await administer(house, "POST", "/clients", whole))
        for name in named:
            assert any(name in one for one in told), told
        assert (await administer(house, "GET", "/clients/refused")).status_code == 404

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'"x"'])
    async def test_what_is_no_entry_at_all_is_refused(self, house: House, body: bytes) -> None:
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        for path in ("/clients", "/users", "/token"):
            response = await house.http.post(f"{house.issuer}/admin{path}", content=body, headers=headers)
            assert len(problems(response)) == 1

    @pytest.mark.requirement("R-7")
    async def test_a_client_of_the_configuration_is_changed_only_there(self, house: House) -> None:
        entry = {**ENTRY, "client_id": "public-app", "redirect_uris": ["https://evil.example/callback"]}
        assert "configuration" in problems(await administer(house, "POST", "/clients", entry), 409)[0]
        assert (await administer(house, "DELETE", "/clients/public-app")).status_code == 404
        shown = (await administer(house, "GET", "/clients/public-app")).json()
        assert shown["from"] == "configuration"
        assert (await house.tokens(house.app(), SCOPE))["patient"] == "pat-a"

    async def test_a_disabled_client_gets_nothing_until_it_is_added_again(self, house: House) -> None:
        await register(house, "paused")
        app = house.app("paused")
        assert (await administer(house, "DELETE", "/clients/paused")).json() == {
            "client_id": "paused",
            "disabled": True,
        }
        listed = (await administer(house, "GET", "/clients")).json()["clients"]
        assert [one["disabled"] for one in listed if one["client_id"] == "paused"] == [True]
        page = await house.person().go(app.authorization_url(SCOPE))
        assert (page.status, page.left_for) == (400, None)
        await register(house, "paused")
        assert (await house.tokens(app, SCOPE))["patient"] == "pat-a"
        assert (await administer(house, "DELETE", "/clients/nobody")).status_code == 404

    async def test_an_id_that_is_a_url_can_be_shown_and_disabled(self, house: House) -> None:
        await register(house, "https://app.example/client")
        path = "/clients/https://app.example/client"
        assert (await administer(house, "GET", path)).status_code == 200
        assert (await administer(house, "DELETE", path)).status_code == 200


class TestUsers:
    async def test_an_added_user_signs_in_and_the_password_is_kept_as_its_hash(self, house: House) -> None:
        user = {"username": "newcomer", "name": "Nora New", "password": "a new password",
                "fhir_user": "Practitioner/practitioner-3"}  # fmt: skip
        response = await administer(house, "POST", "/users", user)
        assert (response.status_code, response.json()) == (201, {"username": "newcomer"})
        kept = await stored(house, "user:newcomer")
        assert "a new password" not in kept
        assert "$argon2id$" in kept
        person = house.person()
        page = await person.go(house.app().authorization_url(SCOPE))
        assert "Nora New" not in (await person.sign_in(page, "newcomer", "another password")).text
        page = await person.sign_in(await person.go(house.app().authorization_url(SCOPE)), "newcomer", "a new password")
        assert page.form("/patient").method == "post"

    @pytest.mark.parametrize(
        ("user", "named"),
        [
            ({"name": "X"}, ["username", "password_hash"]),
            ({"username": "x", "name": "X", "password": ""}, ["password_hash"]),
            ({"username": "x", "name": "X", "password": "x", "fhir_user": "Device/1"}, ["fhir_user"]),
            ({"username": "x", "name": "X", "password": "x", "role": "root"}, ["role"]),
            ({"username": "", "name": "", "password": "x"}, ["username", "name"]),
        ],
    )
    async def test_a_wrong_entry_is_refused_with_every_problem(
        self, house: House, user: dict[str, Any], named: list[str]
    ) -> None:
        told = problems(await administer(house, "POST", "/users", user))
        for name in named:
            assert any(name in one for one in told), told

    async def test_a_user_of_the_configuration_is_changed_only_there(self, house: House) -> None:
        user = {
            "username": "doctor",
            "name": "Impostor",
            "password": "mine",
            "fhir_user": "Practitioner/practitioner-2",
        }
        assert "configuration" in problems(await administer(house, "POST", "/users", user), 409)[0]
        assert (await house.tokens(house.app(), SCOPE))["patient"] == "pat-a"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_house(fhir_server: str) -> AsyncIterator[House]:
    """A house where apps register themselves."""

    def opened(settings: dict[str, Any]) -> None:
        settings["smart_server"]["registration"] = True

    async with smart_house(fhir_server, change=opened) as house:
        yield house


METADATA: dict[str, Any] = {"client_name": "Self-made", "redirect_uris": [CALLBACK]}


class TestRegistration:
    @pytest.mark.requirement("R-1", "R-4")
    async def test_it_is_off_unless_the_operator_turns_it_on(self, house: House) -> None:
        response = await house.http.post(f"{house.issuer}/register", json=METADATA)
        assert response.status_code == 404
        document = (await house.http.get(f"{house.base}/.well-known/smart-configuration")).json()
        assert "registration_endpoint" not in document

    @pytest.mark.requirement("R-3", "R-4", "R-5")
    @pytest.mark.parametrize("method", ["none", "client_secret_basic", "private_key_jwt", None])
    async def test_an_app_of_each_kind_registers_itself_and_works(self, open_house: House, method: str | None) -> None:
        house = open_house
        document = (await house.http.get(f"{house.base}/.well-known/smart-configuration")).json()
        metadata = {
            **METADATA,
            "grant_types": ["authorization_code", "refresh_token"],
            "client_uri": "https://x.example",
        }
        metadata |= {} if method is None else {"token_endpoint_auth_method": method}
        metadata |= {"jwks": jwks(KEY)} if method == "private_key_jwt" else {}
        response = await house.http.post(document["registration_endpoint"], json=metadata)
        assert response.status_code == 201, response.text
        assert response.headers["cache-control"] == "no-store"
        told = response.json()
        assert told["redirect_uris"] == [CALLBACK]
        assert told["client_name"] == "Self-made"
        assert told["token_endpoint_auth_method"] == (method or "client_secret_basic")
        assert type(told["client_id_issued_at"]) is int
        assert "client_uri" not in told
        has_secret = method in {None, "client_secret_basic"}
        assert (told.get("client_secret_expires_at") == 0) is has_secret
        app = App(house.issuer, house.base, house.http, told["client_id"], secret=told.get("client_secret"),
                  key=KEY if method == "private_key_jwt" else None)  # fmt: skip
        person, page = await house.consent_page(app, SCOPE)
        assert page.left_for is None
        assert "Self-made" in page.text
        response = await app.exchange((await person.agree(page)).parameters["code"])
        assert response.json()["patient"] == "pat-a"

    @pytest.mark.requirement("R-10", "BS-4")
    @pytest.mark.parametrize(
        "grants",
        [["client_credentials"], ["authorization_code", "client_credentials"], "client_credentials", ["password"], [7]],
    )
    async def test_nobody_makes_a_backend_service_of_themselves(self, open_house: House, grants: object) -> None:
        metadata = {**METADATA, "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks(KEY),
                    "grant_types": grants, "scope": "system/*.rs"}  # fmt: skip
        response = await open_house.http.post(f"{open_house.issuer}/register", json=metadata)
        assert response.status_code == 400
        assert response.json()["error"] == "invalid_client_metadata"

    @pytest.mark.requirement("R-4", "R-11")
    async def test_what_only_an_operator_may_grant_is_not_taken(self, open_house: House) -> None:
        house = open_house
        metadata = {**METADATA, "token_endpoint_auth_method": "none", "skip_consent": True, "may_introspect": True,
                    "client_id": "public-app", "require_pkce": False}  # fmt: skip
        told = (await house.http.post(f"{house.issuer}/register", json=metadata)).json()
        assert told["client_id"] != "public-app"
        assert {"skip_consent", "may_introspect", "require_pkce"}.isdisjoint(told)
        shown = (await administer(house, "GET", f"/clients/{told['client_id']}")).json()
        assert {"skip_consent", "may_introspect", "require_pkce"}.isdisjoint(shown)

    @pytest.mark.requirement("R-2", "R-4")
    @pytest.mark.parametrize(
        ("metadata", "error"),
        [
            ({}, "invalid_redirect_uri"),
            ({"redirect_uris": ["https://x.example/*"]}, "invalid_redirect_uri"),
            ({"redirect_uris": "https://x.example/"}, "invalid_redirect_uri"),
            ({**METADATA, "token_endpoint_auth_method": "client_secret_post"}, "invalid_client_metadata"),
            ({**METADATA, "token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
            ({**METADATA, "token_endpoint_auth_method": ["none"]}, "invalid_client_metadata"),
            ({**METADATA, "scope": "nonsense"}, "invalid_client_metadata"),
            ({**METADATA, "client_name": 7}, "invalid_client_metadata"),
            ([], "invalid_client_metadata"),
        ],
    )
    async def test_wrong_metadata_is_refused_in_the_words_of_rfc_7591(
        self, open_house: House, metadata: object, error: str
    ) -> None:
        response = await open_house.http.post(f"{open_house.issuer}/register", json=metadata)
        assert response.status_code == 400, response.text
        assert response.json()["error"] == error
        assert response.json()["error_description"]

    async def test_after_some_it_has_to_wait(self, open_house: House) -> None:
        statuses = [
            (await open_house.http.post(f"{open_house.issuer}/register", content=b"[]")).status_code for _ in range(25)
        ]
        assert statuses[-1] == 429
