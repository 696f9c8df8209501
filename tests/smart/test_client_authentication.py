"""How clients prove themselves over HTTP (checklist 1.10, edge cases 63-77): by secret, by key, and by nothing else."""

import base64
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import httpx2
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.keys.issuing import compact, encoded, key_set, private_key, published
from tests.keys.publishing import Publication, publishing
from tests.smart.admin import register
from tests.smart.app import JWT_BEARER, App
from tests.smart.house import ASYMMETRIC_KEY, BACKEND_KEY, CALLBACK, SECRET, House, smart_house
from tests.smart.later import Later
from tests.smart.test_code_exchange import error_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

SYMMETRIC = "https://symmetric.example"
SCOPE = "launch/patient offline_access patient/Patient.r"
FORM = {"grant_type": "authorization_code", "code": "BAD_CODE", "redirect_uri": CALLBACK}


def basic(text: str) -> dict[str, str]:
    """The header with these very credentials."""
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


async def ask(house: House, form: Mapping[str, str] | None = None, /, **headers: str) -> httpx2.Response:
    """A code exchange with a bad code: `invalid_grant` says that the client is believed."""
    return await house.http.post(f"{house.issuer}/token", data={**FORM, **(form or {})}, headers=headers)


async def is_believed(house: House, assertion: str, **form: str) -> bool:
    """Whether an assertion proves its client; if not, the refusal has the one form that they all have."""
    response = await ask(house, {"client_assertion_type": JWT_BEARER, "client_assertion": assertion, **form})
    error = error_of(response)
    assert error in {"invalid_grant", "invalid_client"}
    if error == "invalid_client":
        assert "www-authenticate" not in response.headers
    return error == "invalid_grant"


def made(app: App, key: ECKey | RSAKey, algorithm: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """An assertion by hand: header members and claims over the usual ones, those of None left out."""
    members = {"alg": algorithm, "typ": "JWT", "kid": key.kid, **(header or {})}
    said = {
        "iss": app.client_id,
        "sub": app.client_id,
        "aud": f"{app.issuer}/token",
        "exp": int(time.time()) + 300,
        "jti": secrets.token_hex(32),
        **claims,
    }
    return jwt.encode(
        {name: value for name, value in members.items() if value is not None},
        {name: value for name, value in said.items() if value is not None},
        key,
        algorithms=[algorithm],
    )


class TestSecret:
    @pytest.mark.requirement("CS-1", "CS-3", "edge-65")
    @pytest.mark.parametrize(
        "credentials",
        [
            f"{quote(SYMMETRIC, safe='')}:{SECRET}",
            f"{quote_plus(SYMMETRIC)}:{quote_plus(SECRET)}",
            f"{SYMMETRIC}:{SECRET}",
            f"{quote(SYMMETRIC, safe='').lower()}:{SECRET}",
            f"{quote(SYMMETRIC, safe='/')}:{SECRET}",
        ],
        ids=["encoded", "encoded as a form", "raw", "encoded in small letters", "with its slashes left"],
    )
    async def test_an_id_that_is_a_url_is_read_in_every_way_that_clients_send_it(
        self, house: House, credentials: str
    ) -> None:
        assert error_of(await ask(house, None, **basic(credentials))) == "invalid_grant"

    @pytest.mark.requirement("CS-3")
    @pytest.mark.parametrize("secret", ["100%-sure+é:/?", "a%2Bb", "a+b c", "%zz", "+"])
    async def test_a_secret_of_any_characters_is_read_encoded_and_raw(self, house: House, secret: str) -> None:
        await register(house, "special", type="confidential-symmetric", client_secret=secret)
        for told in (secret, quote(secret, safe=""), quote_plus(secret)):
            assert error_of(await ask(house, None, **basic(f"special:{told}"))) == "invalid_grant"
        assert error_of(await ask(house, None, **basic(f"special:{secret}x")), 401) == "invalid_client"

    @pytest.mark.requirement("edge-66", "suite-C2", "RS-11")
    @pytest.mark.parametrize(
        "authorization",
        [
            basic(f"BAD_CLIENT_ID:{SECRET}")["authorization"],
            basic(f"old-app:{SECRET}x")["authorization"],
            basic("old-app:")["authorization"],
            basic(f":{SECRET}")["authorization"],
            basic("old-app")["authorization"],
            basic(":")["authorization"],
            basic(f"public-app:{SECRET}")["authorization"],
            basic("public-app:")["authorization"],
            basic(f"asymmetric-app:{SECRET}")["authorization"],
            "Basic",
            "Basic !!!",
            "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
            "Bearer " + "x" * 43,
            "Digest x",
        ],
    )
    async def test_a_wrong_one_is_answered_with_401_and_the_scheme(self, house: House, authorization: str) -> None:
        response = await ask(house, authorization=authorization)
        assert error_of(response, 401) == "invalid_client"
        assert response.headers["www-authenticate"].startswith('Basic realm="')

    @pytest.mark.requirement("CS-1")
    @pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc"])
    async def test_the_case_of_the_scheme_does_not_matter(self, house: House, scheme: str) -> None:
        header = basic(f"old-app:{SECRET}")["authorization"].replace("Basic", scheme)
        assert error_of(await ask(house, authorization=header)) == "invalid_grant"

    @pytest.mark.requirement("R-11")
    @pytest.mark.parametrize("client_id", ["old-app", "public-app"])
    async def test_a_secret_in_the_body_is_not_offered(self, house: House, client_id: str) -> None:
        response = await ask(house, {"client_id": client_id, "client_secret": SECRET})
        assert error_of(response) == "invalid_client"

    @pytest.mark.requirement("edge-64")
    @pytest.mark.parametrize(
        "form",
        [
            {"client_secret": SECRET},
            {"client_assertion": "x", "client_assertion_type": JWT_BEARER},
            {"client_assertion": "x"},
            {"client_assertion_type": JWT_BEARER},
        ],
        ids=["a secret in the body", "an assertion", "an assertion without type", "a type without assertion"],
    )
    async def test_two_ways_at_once_are_refused(self, house: House, form: dict[str, str]) -> None:
        assert error_of(await ask(house, form, **basic(f"old-app:{SECRET}"))) == "invalid_request"

    @pytest.mark.requirement("edge-64")
    async def test_two_good_proofs_are_refused_as_well(self, house: House) -> None:
        app = house.app("asymmetric-app")
        form = {"client_assertion_type": JWT_BEARER, "client_assertion": app.assertion()}
        assert error_of(await ask(house, form, **basic(f"old-app:{SECRET}"))) == "invalid_request"
        assert error_of(await ask(house, {**form, "client_secret": SECRET})) == "invalid_request"

    async def test_wrong_secrets_are_tried_only_so_often_and_the_right_one_stands(
        self, clocked: tuple[House, Later]
    ) -> None:
        house, later = clocked
        right, wrong = basic(f"old-app:{SECRET}"), basic(f"old-app:{SECRET}x")
        assert error_of(await ask(house, None, **right)) == "invalid_grant"
        statuses = [(await ask(house, None, **wrong)).status_code for _ in range(32)]
        assert statuses == [401] * 30 + [429] * 2
        last = await ask(house, None, **wrong)
        assert error_of(last, 429) == "temporarily_unavailable"
        assert int(last.headers["retry-after"]) > 0
        # Whoever knows the secret is not locked out by whoever does not.
        assert error_of(await ask(house, None, **right)) == "invalid_grant"
        assert error_of(await ask(house, None, **basic(f"{SYMMETRIC}:{SECRET}x")), 401) == "invalid_client"
        later.wait(61)
        assert error_of(await ask(house, None, **wrong), 401) == "invalid_client"


class TestDowngrade:
    @pytest.mark.requirement("edge-63", "R-11", "CA-12")
    @pytest.mark.parametrize("client_id", ["asymmetric-app", "backend", "old-app", SYMMETRIC])
    async def test_a_name_alone_is_no_proof_of_a_confidential_client(self, house: House, client_id: str) -> None:
        assert error_of(await ask(house, {"client_id": client_id})) == "invalid_client"

    @pytest.mark.requirement("edge-63", "R-11")
    @pytest.mark.parametrize("client_id", ["old-app", "public-app", "nobody"])
    async def test_an_assertion_is_no_proof_of_a_client_without_registered_keys(
        self, house: House, client_id: str
    ) -> None:
        app = App(house.issuer, house.base, house.http, client_id)
        assert not await is_believed(house, made(app, ASYMMETRIC_KEY, "ES384"))


@pytest.fixture
def app(house: House) -> App:
    """The client whose key the house knows."""
    return house.app("asymmetric-app")


class TestAssertion:
    @pytest.mark.requirement("CA-2", "CA-3", "CA-4", "CA-5", "CA-6", "suite-B4")
    async def test_es384_and_rs384_prove_their_clients(self, house: House, app: App) -> None:
        assert await is_believed(house, made(app, ASYMMETRIC_KEY, "ES384"))
        backend = house.app("backend")
        form = {"client_assertion_type": JWT_BEARER, "client_assertion": made(backend, BACKEND_KEY, "RS384")}
        # It may not use codes, which is told only to who proved to be it.
        assert error_of(await ask(house, form)) == "unauthorized_client"

    @pytest.mark.requirement("suite-B2", "edge-75", "CA-5")
    @pytest.mark.parametrize("kind", ["not_an_assertion_type", "", None, JWT_BEARER + " "])
    async def test_another_assertion_type_is_refused_with_400(self, house: House, app: App, kind: str | None) -> None:
        form = {"client_assertion": app.assertion()} | ({} if kind is None else {"client_assertion_type": kind})
        assert error_of(await ask(house, form)) == "invalid_client"

    async def test_a_type_without_an_assertion_is_refused(self, house: House) -> None:
        assert error_of(await ask(house, {"client_assertion_type": JWT_BEARER})) == "invalid_request"

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
    async def test_any_wrong_claim_is_refused(self, house: House, app: App, claims: dict[str, Any]) -> None:
        now = int(time.time())
        moments = {"now-61": now - 61, "now+120": now + 120, "now+600": now + 600, "{now+300} as text": str(now + 300),
                   "now+300 in milliseconds": (now + 300) * 1000}  # fmt: skip

        def filled(value: Any) -> Any:
            match value:
                case list():
                    return [filled(one) for one in value]
                case str() if value in moments:
                    return moments[value]
                case str():
                    return value.replace("{issuer}", house.issuer).replace("{base}", house.base)
            return value

        told = {name: filled(value) for name, value in claims.items()}
        assert not await is_believed(house, made(app, ASYMMETRIC_KEY, "ES384", **told))

    @pytest.mark.requirement("CA-13", "CA-4")
    @pytest.mark.parametrize("ahead", [300, 350, 1, -50], ids=["five minutes", "with skew", "now", "just over"])
    async def test_the_clock_of_a_client_may_be_a_little_off(self, house: House, app: App, ahead: int) -> None:
        assert await is_believed(house, made(app, ASYMMETRIC_KEY, "ES384", exp=int(time.time()) + ahead))

    @pytest.mark.requirement("CA-8", "edge-74")
    async def test_a_client_id_in_the_body_must_be_the_clients(self, house: House, app: App) -> None:
        assert await is_believed(house, app.assertion(), client_id="asymmetric-app")
        assert not await is_believed(house, app.assertion(), client_id="backend")

    @pytest.mark.requirement("CA-2", "CA-3", "CA-9", "edge-67", "edge-68")
    async def test_a_signature_that_anybody_could_make_is_none(self, house: House) -> None:
        key = private_key("RS384", 7)
        public = published(key, "rsa")
        await register(house, "forged", type="confidential-asymmetric", jwks={"keys": [public]})
        app = house.app("public-app")
        app.client_id = "forged"
        signing = RSAKey.import_key({**key.as_dict(private=True), "kid": "rsa"})
        assert await is_believed(house, made(app, signing, "RS384"))
        claims = {"iss": "forged", "sub": "forged", "aud": f"{house.issuer}/token", "exp": int(time.time()) + 300}
        for number, forged in enumerate(_forgeries(claims, key, signing, app)):
            assert not await is_believed(house, forged), number

    @pytest.mark.requirement("edge-69", "CA-9")
    async def test_a_client_with_inline_keys_may_name_no_address(self, house: House, app: App) -> None:
        async with publishing(key_set(published(ASYMMETRIC_KEY, "app-1"))) as there:
            assert not await is_believed(house, made(app, ASYMMETRIC_KEY, "ES384", {"jku": there.url}))
            assert there.fetches == 0


def _forgeries(claims: dict[str, Any], key: ECKey | RSAKey, signing: RSAKey, app: App) -> list[str]:
    fresh = iter(range(1000))

    def said() -> dict[str, Any]:
        return {**claims, "jti": f"forgery-{next(fresh)}"}

    forged = [
        compact({"alg": "none", "typ": "JWT", "kid": "rsa"}, said(), b""),
        compact({"alg": "None", "typ": "JWT", "kid": "rsa"}, said(), b""),
        compact({"alg": "RS384", "typ": "JWT", "kid": "rsa"}, said(), b""),
        compact({"alg": "RS384", "typ": "JWT", "kid": "rsa"}, said(), b"x" * 256),
        made(app, signing, "RS384", {"kid": None}),
        made(app, signing, "RS384", {"kid": "another"}),
        made(app, signing, "RS384", {"typ": "at+jwt"}),
        made(app, RSAKey.import_key({**private_key("RS384", 8).as_dict(private=True), "kid": "rsa"}), "RS384"),
        made(app, ECKey.import_key({**private_key("ES384").as_dict(private=True), "kid": "rsa"}), "ES384"),
        made(app, signing, "RS384", {"jwk": private_key("RS384", 8).as_dict(private=False), "kid": "new"}),
        "a.b.c",
        "x",
    ]
    for algorithm in ("HS256", "HS384"):
        for form in ("PEM", "DER"):
            public = key.as_bytes(form, private=False)
            signed = compact({"alg": algorithm, "typ": "JWT", "kid": "rsa"}, said()).rpartition(".")[0]
            digest = hmac.digest(public, signed.encode(), algorithm.replace("HS", "sha"))
            forged.append(f"{signed}.{encoded(digest)}")
    return forged


class TestReplay:
    @pytest.mark.requirement("CA-7", "edge-71")
    async def test_an_assertion_proves_once_wherever_it_is_used(self, house: House, app: App) -> None:
        tokens = await house.tokens(app, SCOPE)
        code = await house.code(app, SCOPE)
        form = {"client_assertion_type": JWT_BEARER, "client_assertion": app.assertion()}
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **form}
        exchange = {**FORM, "code": code, "code_verifier": app.verifier, **form}
        assert (await house.http.post(f"{house.issuer}/token", data=refresh)).status_code == 200
        assert error_of(await house.http.post(f"{house.issuer}/token", data=refresh)) == "invalid_client"
        assert error_of(await house.http.post(f"{house.issuer}/token", data=exchange)) == "invalid_client"
        revoke = {"token": tokens["access_token"], **form}
        assert error_of(await house.http.post(f"{house.issuer}/revoke", data=revoke)) == "invalid_client"
        introspect = await house.http.post(f"{house.issuer}/introspect", data=revoke)
        assert error_of(introspect, 401) == "invalid_client"
        # A proof that was used up ends nothing: the code and the token are still good.
        again = {**exchange, "client_assertion": app.assertion()}
        assert (await house.http.post(f"{house.issuer}/token", data=again)).status_code == 200
        assert (await app.read("/Patient/pat-a", tokens["access_token"])).status_code == 200

    @pytest.mark.requirement("CA-7", "edge-71")
    async def test_two_clients_may_use_one_jti(self, house: House, app: App) -> None:
        await register(
            house, "twin", type="confidential-asymmetric", jwks={"keys": [published(ASYMMETRIC_KEY, "app-1")]}
        )
        twin = App(app.issuer, app.base, app.http, "twin", key=ASYMMETRIC_KEY)
        assert await is_believed(house, app.assertion(jti="the same"))
        assert await is_believed(house, twin.assertion(jti="the same"))
        assert not await is_believed(house, twin.assertion(jti="the same"))

    @pytest.mark.requirement("CA-13", "edge-72")
    async def test_a_forged_assertion_uses_no_jti_up(self, house: House, app: App) -> None:
        forger = ECKey.generate_key("P-384", parameters={"kid": "app-1"})
        assert not await is_believed(house, made(app, forger, "ES384", jti="of the victim"))
        assert await is_believed(house, made(app, ASYMMETRIC_KEY, "ES384", jti="of the victim"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clocked(fhir_server: str) -> AsyncIterator[tuple[House, Later]]:
    """A house whose time passes when a test says so."""
    async with smart_house(fhir_server) as house:
        yield house, Later(house)


KEYS = {kid: ECKey.generate_key("P-384", parameters={"kid": kid}) for kid in ("old", "new", "next")}


async def published_app(house: House, there: Publication, kid: str) -> App:
    """A client that is registered by the address of its keys."""
    client_id = f"at-{there.url.rpartition(':')[2].partition('/')[0]}"
    await register(house, client_id, type="confidential-asymmetric", jwks_uri=there.url)
    return App(house.issuer, house.base, house.http, client_id, key=KEYS[kid])


class TestKeysAtAnAddress:
    @pytest.mark.requirement("CA-9", "CA-10", "R-6", "edge-69")
    async def test_they_are_fetched_as_json_by_get_and_only_from_there(self, house: House) -> None:
        async with publishing(key_set(published(KEYS["old"], "old"))) as there, publishing(key_set()) as elsewhere:
            app = await published_app(house, there, "old")
            assert not await is_believed(house, made(app, KEYS["old"], "ES384", {"jku": elsewhere.url}))
            assert not await is_believed(house, made(app, KEYS["old"], "ES384", {"jku": there.url + "/"}))
            assert (there.fetches, elsewhere.fetches) == (0, 0)
            assert await is_believed(house, made(app, KEYS["old"], "ES384", {"jku": there.url}))
            assert await is_believed(house, app.assertion())
            assert there.fetches == 1
            head = there.server.requests[0].lower()
            assert head.startswith(b"get /fhir http/1.1\r\n")
            assert b"\r\naccept: application/json\r\n" in head
            assert b"authorization" not in head

    @pytest.mark.requirement("CA-11", "edge-76")
    async def test_they_serve_no_longer_than_their_headers_permit(self, clocked: tuple[House, Later]) -> None:
        house, later = clocked
        head = "cache-control: max-age=60\r\n"
        async with publishing(key_set(published(KEYS["old"], "old")), head) as there:
            app = await published_app(house, there, "old")
            assert await is_believed(house, app.assertion(exp=later.now + 300))
            later.wait(30)
            there.body = key_set(published(KEYS["new"], "new"))
            assert await is_believed(house, app.assertion(exp=later.now + 300))
            assert there.fetches == 1
            later.wait(31)
            assert not await is_believed(house, app.assertion(exp=later.now + 300))
            assert there.fetches == 2

    @pytest.mark.requirement("CA-11", "CA-14", "edge-76")
    @pytest.mark.parametrize("head", ["cache-control: no-store\r\n", "cache-control: max-age=0\r\n"])
    async def test_they_are_fetched_every_time_where_nobody_may_store_them(self, house: House, head: str) -> None:
        async with publishing(key_set(published(KEYS["old"], "old")), head) as there:
            app = await published_app(house, there, "old")
            for number in range(1, 4):
                assert await is_believed(house, app.assertion())
                assert there.fetches == number

    @pytest.mark.requirement("CA-14", "edge-77")
    async def test_a_new_key_is_worth_one_fetch_and_made_up_ones_no_more(self, house: House) -> None:
        async with publishing(key_set(published(KEYS["old"], "old"))) as there:
            app = await published_app(house, there, "old")
            assert await is_believed(house, app.assertion())
            there.body = key_set(published(KEYS["old"], "old"), published(KEYS["new"], "new"))
            app.key = KEYS["new"]
            assert await is_believed(house, app.assertion())
            assert there.fetches == 2
            for number in range(20):
                assert not await is_believed(house, made(app, KEYS["new"], "ES384", {"kid": f"made-up-{number}"}))
            assert there.fetches == 2
            assert await is_believed(house, app.assertion())

    @pytest.mark.requirement("CA-12", "CA-15")
    @pytest.mark.parametrize(
        ("status", "head", "body"),
        [
            (404, "", b"{}"),
            (302, "location: /elsewhere\r\n", b""),
            (200, "", b"not json"),
            (200, "", b'{"keys":[]}'),
            (200, "", b" " * 1_100_000),
        ],
        ids=["an error", "a redirect", "no JSON", "no keys", "too much"],
    )
    async def test_where_there_are_none_nobody_is_believed(
        self, house: House, status: int, head: str, body: bytes
    ) -> None:
        async with publishing(body, head) as there:
            there.status = status
            app = await published_app(house, there, "old")
            assert not await is_believed(house, app.assertion())
            assert there.fetches == 1

    @pytest.mark.requirement("CA-9", "edge-68")
    async def test_one_kid_twice_is_nobodys(self, house: House) -> None:
        twice = key_set(published(KEYS["old"], "old"), published(KEYS["new"], "old"))
        async with publishing(twice) as there:
            app = await published_app(house, there, "old")
            assert not await is_believed(house, app.assertion())
