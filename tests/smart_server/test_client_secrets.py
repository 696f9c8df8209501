"""Client authentication by HTTP Basic (checklist 1.10, edge cases 63-66)."""

import base64
from urllib.parse import quote, quote_plus

import pytest

from tests.smart_server.admin_client import replace_client
from tests.smart_server.client_credentials import SYMMETRIC, basic_auth, exchange_bad_code, is_accepted, make_assertion
from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import ASYMMETRIC_KEY, SECRET, RunningServer
from tests.smart_server.smart_app import JWT_BEARER, App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


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
        self, server: RunningServer, credentials: str
    ) -> None:
        assert oauth_error(await exchange_bad_code(server, None, **basic_auth(credentials))) == "invalid_grant"

    @pytest.mark.requirement("CS-3")
    @pytest.mark.parametrize("secret", ["100%-sure+é:/?", "a%2Bb", "a+b c", "%zz", "+"])
    async def test_a_secret_of_any_characters_is_read_encoded_and_raw(self, server: RunningServer, secret: str) -> None:
        await replace_client(server, "special", type="confidential-symmetric", client_secret=secret)
        for encoded_secret in (secret, quote(secret, safe=""), quote_plus(secret)):
            assert (
                oauth_error(await exchange_bad_code(server, None, **basic_auth(f"special:{encoded_secret}")))
                == "invalid_grant"
            )
        assert (
            oauth_error(await exchange_bad_code(server, None, **basic_auth(f"special:{secret}x")), 401)
            == "invalid_client"
        )

    @pytest.mark.requirement("edge-66", "suite-C2", "RS-11")
    @pytest.mark.parametrize(
        "authorization",
        [
            basic_auth(f"BAD_CLIENT_ID:{SECRET}")["authorization"],
            basic_auth(f"old-app:{SECRET}x")["authorization"],
            basic_auth("old-app:")["authorization"],
            basic_auth(f":{SECRET}")["authorization"],
            basic_auth("old-app")["authorization"],
            basic_auth(":")["authorization"],
            basic_auth(f"public-app:{SECRET}")["authorization"],
            basic_auth("public-app:")["authorization"],
            basic_auth(f"asymmetric-app:{SECRET}")["authorization"],
            "Basic",
            "Basic !!!",
            "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
            "Bearer " + "x" * 43,
            "Digest x",
        ],
    )
    async def test_a_wrong_one_is_answered_with_401_and_the_scheme(
        self, server: RunningServer, authorization: str
    ) -> None:
        response = await exchange_bad_code(server, authorization=authorization)
        assert oauth_error(response, 401) == "invalid_client"
        assert response.headers["www-authenticate"].startswith('Basic realm="')

    @pytest.mark.requirement("CS-1")
    @pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc"])
    async def test_the_case_of_the_scheme_does_not_matter(self, server: RunningServer, scheme: str) -> None:
        header = basic_auth(f"old-app:{SECRET}")["authorization"].replace("Basic", scheme)
        assert oauth_error(await exchange_bad_code(server, authorization=header)) == "invalid_grant"

    @pytest.mark.requirement("R-11")
    @pytest.mark.parametrize("client_id", ["old-app", "public-app"])
    async def test_a_secret_in_the_body_is_not_offered(self, server: RunningServer, client_id: str) -> None:
        response = await exchange_bad_code(server, {"client_id": client_id, "client_secret": SECRET})
        assert oauth_error(response) == "invalid_client"

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
    async def test_two_ways_at_once_are_refused(self, server: RunningServer, form: dict[str, str]) -> None:
        assert (
            oauth_error(await exchange_bad_code(server, form, **basic_auth(f"old-app:{SECRET}"))) == "invalid_request"
        )

    @pytest.mark.requirement("edge-64")
    async def test_two_good_proofs_are_refused_as_well(self, server: RunningServer) -> None:
        app = server.app("asymmetric-app")
        form = {"client_assertion_type": JWT_BEARER, "client_assertion": app.assertion()}
        assert (
            oauth_error(await exchange_bad_code(server, form, **basic_auth(f"old-app:{SECRET}"))) == "invalid_request"
        )
        assert oauth_error(await exchange_bad_code(server, {**form, "client_secret": SECRET})) == "invalid_request"

    async def test_wrong_secrets_are_tried_only_so_often_and_the_right_one_stands(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, later = clocked
        right, wrong = basic_auth(f"old-app:{SECRET}"), basic_auth(f"old-app:{SECRET}x")
        assert oauth_error(await exchange_bad_code(server, None, **right)) == "invalid_grant"
        statuses = [(await exchange_bad_code(server, None, **wrong)).status_code for _ in range(32)]
        assert statuses == [401] * 30 + [429] * 2
        last = await exchange_bad_code(server, None, **wrong)
        assert oauth_error(last, 429) == "temporarily_unavailable"
        assert int(last.headers["retry-after"]) > 0
        # Wrong secrets of others do not lock out the client.
        assert oauth_error(await exchange_bad_code(server, None, **right)) == "invalid_grant"
        assert (
            oauth_error(await exchange_bad_code(server, None, **basic_auth(f"{SYMMETRIC}:{SECRET}x")), 401)
            == "invalid_client"
        )
        later.advance(61)
        assert oauth_error(await exchange_bad_code(server, None, **wrong), 401) == "invalid_client"


class TestDowngrade:
    @pytest.mark.requirement("edge-63", "R-11", "CA-12")
    @pytest.mark.parametrize("client_id", ["asymmetric-app", "backend", "old-app", SYMMETRIC])
    async def test_a_name_alone_is_no_proof_of_a_confidential_client(
        self, server: RunningServer, client_id: str
    ) -> None:
        assert oauth_error(await exchange_bad_code(server, {"client_id": client_id})) == "invalid_client"

    @pytest.mark.requirement("edge-63", "R-11")
    @pytest.mark.parametrize("client_id", ["old-app", "public-app", "nobody"])
    async def test_an_assertion_is_no_proof_of_a_client_without_registered_keys(
        self, server: RunningServer, client_id: str
    ) -> None:
        app = App(server.issuer, server.base, server.http, client_id)
        assert not await is_accepted(server, make_assertion(app, ASYMMETRIC_KEY, "ES384"))
