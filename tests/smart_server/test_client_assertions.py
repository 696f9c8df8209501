"""Client authentication by a signed assertion (checklist 1.10, edge cases 67-75)."""

import hmac
import time
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from tests.credentials.jwks_server import run_jwks_server
from tests.credentials.signed_tokens import base64url, compact_jws, jwks_document, private_key, published_jwk
from tests.smart_server.admin_client import register_client
from tests.smart_server.client_credentials import FORM, exchange_bad_code, is_accepted, make_assertion
from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.running_server import ASYMMETRIC_KEY, BACKEND_KEY, RunningServer
from tests.smart_server.smart_app import JWT_BEARER, App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SCOPE = "launch/patient offline_access patient/Patient.r"


@pytest.fixture
def app(server: RunningServer) -> App:
    """The client with a registered key."""
    return server.app("asymmetric-app")


class TestAssertion:
    @pytest.mark.requirement("CA-2", "CA-3", "CA-4", "CA-5", "CA-6", "suite-B4")
    async def test_es384_and_rs384_prove_their_clients(self, server: RunningServer, app: App) -> None:
        assert await is_accepted(server, make_assertion(app, ASYMMETRIC_KEY, "ES384"))
        backend = server.app("backend")
        form = {"client_assertion_type": JWT_BEARER, "client_assertion": make_assertion(backend, BACKEND_KEY, "RS384")}
        # Only an authenticated client is told that it may not use codes.
        assert oauth_error(await exchange_bad_code(server, form)) == "unauthorized_client"

    @pytest.mark.requirement("suite-B2", "edge-75", "CA-5")
    @pytest.mark.parametrize("kind", ["not_an_assertion_type", "", None, JWT_BEARER + " "])
    async def test_another_assertion_type_is_refused_with_400(
        self, server: RunningServer, app: App, kind: str | None
    ) -> None:
        form = {"client_assertion": app.assertion()} | ({} if kind is None else {"client_assertion_type": kind})
        assert oauth_error(await exchange_bad_code(server, form)) == "invalid_client"

    async def test_a_type_without_an_assertion_is_refused(self, server: RunningServer) -> None:
        assert oauth_error(await exchange_bad_code(server, {"client_assertion_type": JWT_BEARER})) == "invalid_request"

    @pytest.mark.requirement("CA-4", "CA-12", "edge-70", "edge-73", "edge-74", "suite-B3")
    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "not_a_valid_iss"},
            {"sub": "not_a_valid_sub"},
            {"iss": None},
            {"sub": None},
            {"iss": "public-app", "sub": "public-app"},
            {"iss": "backend", "sub": "backend"},
            {"aud": None},
            {"aud": "{issuer}"},
            {"aud": "{base}"},
            {"aud": "{issuer}/token/"},
            {"aud": "{issuer}/introspect"},
            {"aud": ["{issuer}/token", "https://other.example/token"]},
            {"exp": None},
            {"exp": "{now+300} as text"},
            {"exp": -1},
            {"exp": "now-61"},
            {"exp": "now+600"},
            {"exp": "now+300 in milliseconds"},
            {"nbf": "now+120"},
            {"iat": "now+120"},
            {"jti": None},
            {"jti": ""},
            {"jti": 7},
            {"jti": "x" * 257},
        ],
        ids=lambda claims: " ".join(f"{name} {str(value)[:40]}" for name, value in claims.items()),
    )
    async def test_any_wrong_claim_is_refused(self, server: RunningServer, app: App, claims: dict[str, Any]) -> None:
        now = int(time.time())
        moments = {"now-61": now - 61, "now+120": now + 120, "now+600": now + 600, "{now+300} as text": str(now + 300),
                   "now+300 in milliseconds": (now + 300) * 1000}  # fmt: skip

        def filled(value: Any) -> Any:
            match value:
                case list():
                    return [filled(item) for item in value]
                case str() if value in moments:
                    return moments[value]
                case str():
                    return value.replace("{issuer}", server.issuer).replace("{base}", server.base)
            return value

        changed_claims = {name: filled(value) for name, value in claims.items()}
        assert not await is_accepted(server, make_assertion(app, ASYMMETRIC_KEY, "ES384", **changed_claims))

    @pytest.mark.requirement("CA-13", "CA-4")
    @pytest.mark.parametrize("ahead", [300, 350, 1, -50], ids=["five minutes", "with skew", "now", "just over"])
    async def test_the_clock_of_a_client_may_be_a_little_off(self, server: RunningServer, app: App, ahead: int) -> None:
        assert await is_accepted(server, make_assertion(app, ASYMMETRIC_KEY, "ES384", exp=int(time.time()) + ahead))

    @pytest.mark.requirement("CA-8", "edge-74")
    async def test_a_client_id_in_the_body_must_be_the_clients(self, server: RunningServer, app: App) -> None:
        assert await is_accepted(server, app.assertion(), client_id="asymmetric-app")
        assert not await is_accepted(server, app.assertion(), client_id="backend")

    @pytest.mark.requirement("CA-2", "CA-3", "CA-9", "edge-67", "edge-68")
    async def test_a_signature_that_anybody_could_make_is_none(self, server: RunningServer) -> None:
        key = private_key("RS384", 7)
        public = published_jwk(key, "rsa")
        await register_client(server, "forged", type="confidential-asymmetric", jwks={"keys": [public]})
        app = server.app("public-app")
        app.client_id = "forged"
        signing = RSAKey.import_key({**key.as_dict(private=True), "kid": "rsa"})
        assert await is_accepted(server, make_assertion(app, signing, "RS384"))
        claims = {"iss": "forged", "sub": "forged", "aud": f"{server.issuer}/token", "exp": int(time.time()) + 300}
        for number, forged in enumerate(_forgeries(claims, key, signing, app)):
            assert not await is_accepted(server, forged), number

    @pytest.mark.requirement("edge-69", "CA-9")
    async def test_a_client_with_inline_keys_may_name_no_address(self, server: RunningServer, app: App) -> None:
        async with run_jwks_server(jwks_document(published_jwk(ASYMMETRIC_KEY, "app-1"))) as there:
            assert not await is_accepted(server, make_assertion(app, ASYMMETRIC_KEY, "ES384", {"jku": there.url}))
            assert there.fetches == 0


def _forgeries(claims: dict[str, Any], key: ECKey | RSAKey, signing: RSAKey, app: App) -> list[str]:
    fresh = iter(range(1000))

    def said() -> dict[str, Any]:
        return {**claims, "jti": f"forgery-{next(fresh)}"}

    forged = [
        compact_jws({"alg": "none", "typ": "JWT", "kid": "rsa"}, said(), b""),
        compact_jws({"alg": "None", "typ": "JWT", "kid": "rsa"}, said(), b""),
        compact_jws({"alg": "RS384", "typ": "JWT", "kid": "rsa"}, said(), b""),
        compact_jws({"alg": "RS384", "typ": "JWT", "kid": "rsa"}, said(), b"x" * 256),
        make_assertion(app, signing, "RS384", {"kid": None}),
        make_assertion(app, signing, "RS384", {"kid": "another"}),
        make_assertion(app, signing, "RS384", {"typ": "at+jwt"}),
        make_assertion(
            app, RSAKey.import_key({**private_key("RS384", 8).as_dict(private=True), "kid": "rsa"}), "RS384"
        ),
        make_assertion(app, ECKey.import_key({**private_key("ES384").as_dict(private=True), "kid": "rsa"}), "ES384"),
        make_assertion(app, signing, "RS384", {"jwk": private_key("RS384", 8).as_dict(private=False), "kid": "new"}),
        "a.b.c",
        "x",
    ]
    for algorithm in ("HS256", "HS384"):
        for form in ("PEM", "DER"):
            public = key.as_bytes(form, private=False)
            signed = compact_jws({"alg": algorithm, "typ": "JWT", "kid": "rsa"}, said()).rpartition(".")[0]
            digest = hmac.digest(public, signed.encode(), algorithm.replace("HS", "sha"))
            forged.append(f"{signed}.{base64url(digest)}")
    return forged


class TestReplay:
    @pytest.mark.requirement("CA-7", "edge-71")
    async def test_an_assertion_proves_once_wherever_it_is_used(self, server: RunningServer, app: App) -> None:
        tokens = await server.request_tokens(app, SCOPE)
        code = await server.request_code(app, SCOPE)
        form = {"client_assertion_type": JWT_BEARER, "client_assertion": app.assertion()}
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **form}
        exchange = {**FORM, "code": code, "code_verifier": app.verifier, **form}
        assert (await server.http.post(f"{server.issuer}/token", data=refresh)).status_code == 200
        assert oauth_error(await server.http.post(f"{server.issuer}/token", data=refresh)) == "invalid_client"
        assert oauth_error(await server.http.post(f"{server.issuer}/token", data=exchange)) == "invalid_client"
        revoke = {"token": tokens["access_token"], **form}
        assert oauth_error(await server.http.post(f"{server.issuer}/revoke", data=revoke)) == "invalid_client"
        introspect = await server.http.post(f"{server.issuer}/introspect", data=revoke)
        assert oauth_error(introspect, 401) == "invalid_client"
        # A reused assertion invalidates neither the code nor the token.
        second = {**exchange, "client_assertion": app.assertion()}
        assert (await server.http.post(f"{server.issuer}/token", data=second)).status_code == 200
        assert (await app.read("/Patient/pat-a", tokens["access_token"])).status_code == 200

    @pytest.mark.requirement("CA-7", "edge-71")
    async def test_two_clients_may_use_one_jti(self, server: RunningServer, app: App) -> None:
        await register_client(
            server, "twin", type="confidential-asymmetric", jwks={"keys": [published_jwk(ASYMMETRIC_KEY, "app-1")]}
        )
        twin = App(app.issuer, app.base, app.http, "twin", key=ASYMMETRIC_KEY)
        assert await is_accepted(server, app.assertion(jti="the same"))
        assert await is_accepted(server, twin.assertion(jti="the same"))
        assert not await is_accepted(server, twin.assertion(jti="the same"))

    @pytest.mark.requirement("CA-13", "edge-72")
    async def test_a_forged_assertion_uses_no_jti_up(self, server: RunningServer, app: App) -> None:
        forger = ECKey.generate_key("P-384", parameters={"kid": "app-1"})
        assert not await is_accepted(server, make_assertion(app, forger, "ES384", jti="of the victim"))
        assert await is_accepted(server, make_assertion(app, ASYMMETRIC_KEY, "ES384", jti="of the victim"))
