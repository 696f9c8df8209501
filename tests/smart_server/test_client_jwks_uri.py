"""The keys of clients that register a `jwks_uri` (checklist CA-9 to CA-15, edge cases 69, 76 and 77)."""

import pytest
from joserfc.jwk import ECKey

from gateway.telemetry.server_event import EventKind
from tests.credentials.jwks_server import JwksServer, run_jwks_server
from tests.credentials.signed_tokens import jwks_document, published_jwk
from tests.smart_server.admin_client import register_client
from tests.smart_server.client_credentials import is_accepted, make_assertion
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import RunningServer
from tests.smart_server.smart_app import App

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

KEYS = {kid: ECKey.generate_key("P-384", parameters={"kid": kid}) for kid in ("old", "new", "next")}


async def published_app(server: RunningServer, there: JwksServer, kid: str) -> App:
    """A client that registered the URL of its keys."""
    client_id = f"at-{there.url.rpartition(':')[2].partition('/')[0]}"
    await register_client(server, client_id, type="confidential-asymmetric", jwks_uri=there.url)
    return App(server.issuer, server.base, server.http, client_id, key=KEYS[kid])


class TestKeysAtAnAddress:
    @pytest.mark.requirement("CA-9", "CA-10", "R-6", "edge-69")
    async def test_they_are_fetched_as_json_by_get_and_only_from_there(self, server: RunningServer) -> None:
        async with (
            run_jwks_server(jwks_document(published_jwk(KEYS["old"], "old"))) as there,
            run_jwks_server(jwks_document()) as elsewhere,
        ):
            app = await published_app(server, there, "old")
            assert not await is_accepted(server, make_assertion(app, KEYS["old"], "ES384", {"jku": elsewhere.url}))
            assert not await is_accepted(server, make_assertion(app, KEYS["old"], "ES384", {"jku": there.url + "/"}))
            assert (there.fetches, elsewhere.fetches) == (0, 0)
            assert await is_accepted(server, make_assertion(app, KEYS["old"], "ES384", {"jku": there.url}))
            assert await is_accepted(server, app.assertion())
            assert there.fetches == 1
            head = there.server.requests[0].lower()
            assert head.startswith(b"get /fhir http/1.1\r\n")
            assert b"\r\naccept: application/json\r\n" in head
            assert b"authorization" not in head

    @pytest.mark.requirement("CA-11", "edge-76")
    async def test_they_serve_no_longer_than_their_headers_permit(
        self, clocked: tuple[RunningServer, AdjustableClock]
    ) -> None:
        server, later = clocked
        head = "cache-control: max-age=60\r\n"
        async with run_jwks_server(jwks_document(published_jwk(KEYS["old"], "old")), head) as there:
            app = await published_app(server, there, "old")
            assert await is_accepted(server, app.assertion(exp=later.now + 300))
            later.advance(30)
            there.body = jwks_document(published_jwk(KEYS["new"], "new"))
            assert await is_accepted(server, app.assertion(exp=later.now + 300))
            assert there.fetches == 1
            later.advance(31)
            assert not await is_accepted(server, app.assertion(exp=later.now + 300))
            assert there.fetches == 2

    @pytest.mark.requirement("CA-11", "CA-14", "edge-76")
    @pytest.mark.parametrize("head", ["cache-control: no-store\r\n", "cache-control: max-age=0\r\n"])
    async def test_they_are_fetched_every_time_where_nobody_may_store_them(
        self, server: RunningServer, head: str
    ) -> None:
        async with run_jwks_server(jwks_document(published_jwk(KEYS["old"], "old")), head) as there:
            app = await published_app(server, there, "old")
            for number in range(1, 4):
                assert await is_accepted(server, app.assertion())
                assert there.fetches == number

    @pytest.mark.requirement("CA-14", "edge-77")
    async def test_a_new_key_is_worth_one_fetch_and_made_up_ones_no_more(self, server: RunningServer) -> None:
        async with run_jwks_server(jwks_document(published_jwk(KEYS["old"], "old"))) as there:
            app = await published_app(server, there, "old")
            assert await is_accepted(server, app.assertion())
            there.body = jwks_document(published_jwk(KEYS["old"], "old"), published_jwk(KEYS["new"], "new"))
            app.key = KEYS["new"]
            assert await is_accepted(server, app.assertion())
            assert there.fetches == 2
            for number in range(20):
                assert not await is_accepted(
                    server, make_assertion(app, KEYS["new"], "ES384", {"kid": f"made-up-{number}"})
                )
            assert there.fetches == 2
            assert await is_accepted(server, app.assertion())

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
        self, server: RunningServer, status: int, head: str, body: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with run_jwks_server(body, head) as there:
            there.status = status
            app = await published_app(server, there, "old")
            caplog.clear()
            assert not await is_accepted(server, app.assertion())
            assert there.fetches == 1
            assert not await is_accepted(server, app.assertion())
        event = server.telemetry.events[-1]
        reason = "invalid_client" if body == b'{"keys":[]}' else "client_keys_unavailable"
        assert (event.kind, event.client_id, event.reason) == (EventKind.TOKEN_REFUSED, app.client_id, reason)
        logged = [
            vars(record)["source"] for record in caplog.records if record.name == "gateway.credentials.client_keys"
        ]
        assert logged == ([] if reason == "invalid_client" else [there.url]), "it is told once"

    @pytest.mark.requirement("CA-9", "edge-68")
    async def test_one_kid_twice_is_nobodys(self, server: RunningServer) -> None:
        duplicate = jwks_document(published_jwk(KEYS["old"], "old"), published_jwk(KEYS["new"], "old"))
        async with run_jwks_server(duplicate) as there:
            app = await published_app(server, there, "old")
            assert not await is_accepted(server, app.assertion())
