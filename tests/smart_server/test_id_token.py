"""The id_token of the token response (checklist 1.14, edge cases 145-148), and the signing keys."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway.credentials.signing_key import generate_key
from tests.smart_server.admin_client import admin_request
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import CALLBACK, PASSWORD_HASH, RunningServer, run_smart_server
from tests.smart_server.smart_app import App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient openid fhirUser offline_access patient/Patient.r"


def with_a_relative(settings: dict[str, Any]) -> None:
    """Add a user who is a related person."""
    smart = settings["smart_server"]
    relative = {"username": "relative", "name": "Rita Relative", "fhir_user": "RelatedPerson/pat-a-relative"}
    smart["users"].append({**relative, "password_hash": PASSWORD_HASH})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clocked(fhir_server: str) -> AsyncIterator[tuple[RunningServer, AdjustableClock]]:
    """A server with an adjustable clock, and a user who is a related person."""
    async with run_smart_server(fhir_server, change=with_a_relative) as server:
        yield server, AdjustableClock(server)


async def keys_of(server: RunningServer) -> KeySet:
    """The published keys, found as a client finds them (ID-11): issuer, discovery document, keys."""
    smart = (await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()
    openid = (await server.http.get(f"{smart['issuer']}/.well-known/openid-configuration")).json()
    assert smart["issuer"] == openid["issuer"] == server.issuer
    assert smart["jwks_uri"] == openid["jwks_uri"]
    return KeySet.import_key_set((await server.http.get(openid["jwks_uri"])).json())


async def read(server: RunningServer, id_token: str) -> jwt.Token:
    """The token, verified as a client verifies it."""
    return jwt.decode(id_token, await keys_of(server), algorithms=["RS256"])


class TestIdToken:
    @pytest.mark.requirement("ID-1", "ID-2", "ID-4", "ID-6", "ID-7", "ID-11", "edge-145", "edge-146", "suite-D6")
    @pytest.mark.parametrize("client_id", ["public-app", "https://symmetric.example", "asymmetric-app"])
    async def test_it_has_the_claims_of_openid_connect_and_is_signed_by_a_published_key(
        self, server: RunningServer, client_id: str
    ) -> None:
        tokens = await server.request_tokens(server.app(client_id), SCOPE, nonce="n-0S6_WzA2Mj")
        token = await read(server, tokens["id_token"])
        assert token.header["alg"] == "RS256"
        assert token.header["kid"] in {key.kid for key in (await keys_of(server)).keys}
        claims, now = token.claims, time.time()
        assert claims["iss"] == server.issuer
        assert claims["aud"] == client_id
        assert 1 <= len(claims["sub"]) <= 255
        assert claims["sub"].isascii()
        assert claims["nonce"] == "n-0S6_WzA2Mj"
        for name in ("exp", "iat", "auth_time"):
            assert type(claims[name]) is int
        assert now - 30 < claims["auth_time"] <= claims["iat"] <= now < claims["exp"]
        assert claims["fhirUser"] == f"{server.base}/Practitioner/practitioner-1"

    @pytest.mark.requirement("ID-7")
    async def test_without_a_nonce_it_has_none(self, server: RunningServer) -> None:
        tokens = await server.request_tokens(server.app(), SCOPE)
        assert "nonce" not in (await read(server, tokens["id_token"])).claims

    @pytest.mark.requirement("ID-1", "ID-2")
    @pytest.mark.parametrize(
        ("scope", "has_token", "has_user"),
        [
            ("openid fhirUser patient/Patient.r", True, True),
            ("openid profile patient/Patient.r", True, True),
            ("openid patient/Patient.r", True, False),
            ("fhirUser patient/Patient.r", False, False),
            ("patient/Patient.r", False, False),
        ],
    )
    async def test_openid_gives_it_and_fhir_user_beside_it_the_claim(
        self, server: RunningServer, scope: str, has_token: bool, has_user: bool
    ) -> None:
        tokens = await server.request_tokens(server.app(), scope)
        assert ("id_token" in tokens) is has_token
        if has_token:
            assert ("fhirUser" in (await read(server, tokens["id_token"])).claims) is has_user

    @pytest.mark.requirement("ID-7")
    async def test_the_same_person_is_the_same_subject_in_every_app_and_another_is_another(
        self, server: RunningServer
    ) -> None:
        subjects = [
            (
                await read(server, (await server.request_tokens(server.app(client_id), SCOPE, user=user))["id_token"])
            ).claims["sub"]
            for client_id, user in (("public-app", "doctor"), ("other-app", "doctor"), ("public-app", "nurse"))
        ]
        assert subjects[0] == subjects[1] != subjects[2]

    @pytest.mark.requirement("ID-7", "RF-7")
    async def test_a_refresh_brings_a_new_one_of_the_same_sign_in(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, later = clocked
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE, nonce="once")
        first = (await read(server, tokens["id_token"])).claims
        later.advance(100)
        second = (await read(server, (await app.refresh(tokens["refresh_token"])).json()["id_token"])).claims
        for name in ("iss", "sub", "aud", "auth_time", "fhirUser", "nonce"):
            assert second[name] == first[name], name
        assert second["iat"] >= first["iat"] + 100

    async def test_it_is_no_access_token_and_no_proof_of_a_client(self, server: RunningServer) -> None:
        tokens = await server.request_tokens(server.app(), SCOPE)
        assert (await server.app().read("/Patient/pat-a", tokens["id_token"])).status_code == 401


class TestFhirUser:
    @pytest.mark.requirement("ID-3", "ID-10", "edge-147", "edge-148")
    @pytest.mark.parametrize(
        ("user", "resource"),
        [
            ("doctor", "Practitioner/practitioner-1"),
            ("nurse", "Practitioner/practitioner-2"),
            ("patient", "Patient/pat-a"),
            ("relative", "RelatedPerson/pat-a-relative"),
        ],
    )
    async def test_it_is_below_our_base_and_the_token_opens_it(
        self, clocked: tuple[RunningServer, AdjustableClock], user: str, resource: str
    ) -> None:
        server, _ = clocked
        app = server.app()
        tokens = await server.request_tokens(app, "openid fhirUser patient/Observation.rs", user=user)
        claims = (await read(server, tokens["id_token"])).claims
        assert claims["fhirUser"] == f"{server.base}/{resource}"
        own = await app.read(f"/{resource}", tokens["access_token"])
        assert own.status_code == 200, own.text
        assert f"{own.json()['resourceType']}/{own.json()['id']}" == resource

    @pytest.mark.requirement("ID-10")
    async def test_no_other_resource_of_that_type_is_opened_by_it(self, server: RunningServer) -> None:
        app = server.app()
        tokens = await server.request_tokens(app, "openid fhirUser patient/Observation.rs")
        assert (await app.read("/Practitioner/practitioner-2", tokens["access_token"])).status_code in {403, 404}
        without = await server.request_tokens(app, "openid patient/Observation.rs")
        assert (await app.read("/Practitioner/practitioner-1", without["access_token"])).status_code in {403, 404}

    @pytest.mark.requirement("ID-2")
    async def test_whoever_has_no_resource_is_not_told_to_have_one(self, server: RunningServer) -> None:
        tokens = await server.request_tokens(server.app(), "openid fhirUser", user="clerk")
        assert tokens["scope"] == "openid"
        assert "fhirUser" not in (await read(server, tokens["id_token"])).claims


class TestDocuments:
    @pytest.mark.requirement("ID-8", "D-15", "edge-146")
    async def test_the_openid_document_has_its_members(self, server: RunningServer) -> None:
        response = await server.http.get(f"{server.issuer}/.well-known/openid-configuration")
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        document = response.json()
        assert document["issuer"] == server.issuer
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            assert document[name].startswith(server.issuer)
        assert document["response_types_supported"] == ["code"]
        assert document["subject_types_supported"] == ["public"]
        assert "RS256" in document["id_token_signing_alg_values_supported"]

    @pytest.mark.requirement("ID-5")
    async def test_the_keys_are_public_and_bare(self, server: RunningServer) -> None:
        response = await server.http.get(f"{server.issuer}/jwks")
        assert response.status_code == 200
        for key in response.json()["keys"]:
            assert set(key) == {"kty", "kid", "n", "e", "use", "alg"}
            assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")


async def kids(server: RunningServer) -> list[str | None]:
    """The published key ids."""
    return [key.kid for key in (await keys_of(server)).keys]


async def signing_kid(server: RunningServer, app: App) -> str:
    """The id of the current signing key."""
    tokens = await server.request_tokens(app, "openid patient/Patient.r", person=server.person())
    return str((await read(server, tokens["id_token"])).header["kid"])


class TestRotation:
    async def test_a_new_key_is_published_before_it_signs_and_an_old_one_stays_until_its_tokens_are_over(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, later = clocked
        app = server.app("house-app")
        (old,) = await kids(server)
        early = (await server.request_tokens(app, "openid patient/Patient.r"))["id_token"]
        rotated = (await admin_request(server, "POST", "/keys/rotate")).json()
        assert await kids(server) == rotated["keys"]
        assert rotated["keys"][0] == old
        new = rotated["keys"][1]
        assert abs(rotated["signs_from"] - later.now - 3600) < 5
        assert await signing_kid(server, app) == old
        later.advance(3601)
        assert await signing_kid(server, app) == new
        assert await kids(server) == [old, new]
        assert (await read(server, early)).header["kid"] == old
        later.advance(3601)
        third = (await admin_request(server, "POST", "/keys/rotate")).json()["keys"]
        assert third[0] == new
        assert old not in third
        assert await kids(server) == third
        with pytest.raises(JoseError):
            await read(server, early)

    async def test_the_published_keys_survive_a_look_at_the_store(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, _ = clocked
        before = await kids(server)
        smart = server.gateway._smart_server
        assert smart is not None
        await smart.background_refresh.refresh()
        assert await kids(server) == before

    async def test_a_key_of_a_file_is_rotated_in_the_file(self, fhir_server: str, tmp_path: Path) -> None:
        file = tmp_path / "key.json"
        file.write_text(generate_key(), encoding="ascii")

        def from_file(settings: dict[str, Any]) -> None:
            settings["smart_server"]["signing_key_file"] = str(file)

        async with run_smart_server(fhir_server, change=from_file) as server:
            before = await kids(server)
            refused = await admin_request(server, "POST", "/keys/rotate")
            assert refused.status_code == 409
            assert "file" in refused.json()["problems"][0]
            assert await kids(server) == before
            assert await signing_kid(server, server.app("house-app", redirect_uri=CALLBACK)) == before[0]
