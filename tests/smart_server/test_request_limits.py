"""The limits on the number of requests: authorization requests, tokens, launches and registrations."""

from typing import Any

import pytest

from gateway.telemetry.server_event import EventKind
from tests.smart_server.claimed_addresses import behind_a_proxy, come_from, person_at, try_password
from tests.smart_server.ehr_launcher import create_launch
from tests.smart_server.oauth_responses import oauth_error
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import CALLBACK, LAUNCH_URI, LAUNCHER_SECRET, RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

HERE, ELSEWHERE = "192.0.2.1", "198.51.100.1"
SCOPE = "openid offline_access patient/Patient.rs"


def limits(**rates: int) -> Any:
    """A change of the settings with these limits."""
    return behind_a_proxy(rate_limits=rates, registration=True)


def refusals(server: RunningServer) -> list[tuple[str | None, str | None, str | None]]:
    """Limit, client and address of each refusal that was recorded."""
    events = [event for event in server.telemetry.events if event.kind is EventKind.RATE_LIMITED]
    return [(event.reason, event.client_id, event.remote_address) for event in events]


async def test_authorization_requests_of_an_address_end_on_a_page_that_says_how_long_to_wait(fhir_server: str) -> None:
    async with run_smart_server(fhir_server, change=limits(authorization_requests=3)) as server:
        later, person = AdjustableClock(server), person_at(server, HERE)
        url = server.app().authorization_url(SCOPE)
        for _ in range(3):
            assert (await person.open(url)).form("/login").action
        page = await person.open(url)
        assert (page.status, page.left_for) == (429, None)
        assert "Too many requests have come from your network" in page.text
        assert "Please wait a minute, and start again." in page.text
        assert 0 < int(page.headers["retry-after"]) <= 60
        assert "content-security-policy" in page.headers
        assert (await person_at(server, ELSEWHERE).open(url)).form("/login").action
        assert refusals(server) == [("authorization_requests", None, HERE)]
        later.advance(61)
        assert (await person.open(url)).form("/login").action


async def test_an_address_has_only_so_much_kept_before_anybody_signs_in(fhir_server: str) -> None:
    async with run_smart_server(fhir_server, change=limits(waiting_bytes=50_000)) as server:
        long = " ".join(f"patient/Observation.rs?code={'x' * 100}{number}" for number in range(150))
        request = list(server.app().authorization_parameters(long).items())
        person = person_at(server, HERE)
        pages = [await person.open(f"{server.issuer}/authorize", data=request) for _ in range(4)]
        assert [page.status for page in pages] == [200, 200, 429, 429]
        assert 0 < int(pages[-1].headers["retry-after"]) <= 900
        elsewhere = await person_at(server, ELSEWHERE).open(f"{server.issuer}/authorize", data=request)
        assert elsewhere.form("/login").action
        assert refusals(server) == [("waiting_bytes", "public-app", HERE)] * 2


async def test_what_cannot_be_read_counts_as_well(fhir_server: str) -> None:
    async with run_smart_server(fhir_server, change=limits(authorization_requests=3)) as server:
        person = person_at(server, HERE)
        statuses = [(await person.open(f"{server.issuer}/authorize?client_id=nobody")).status for _ in range(5)]
        assert statuses == [400] * 3 + [429] * 2


async def test_logins_for_the_portal_at_a_provider_count_as_well(fhir_server: str) -> None:
    provider = {"name": "Away", "issuer": "http://127.0.0.1:9", "client_id": "x", "client_secret": "a-secret-of-ours"}
    change = behind_a_proxy(rate_limits={"authorization_requests": 3}, identity_providers=[provider])
    async with run_smart_server(fhir_server, change=change) as server:
        person = person_at(server, HERE)
        await person.open(f"{server.issuer}/sign-in")
        statuses = [(await person.open(f"{server.issuer}/sign-in/provider/0")).status for _ in range(4)]
        assert statuses == [502] * 3 + [429]


async def test_the_addresses_of_one_host_in_ipv6_count_together(fhir_server: str) -> None:
    async with run_smart_server(fhir_server, change=limits(authorization_requests=3)) as server:
        people = [person_at(server, f"2001:db8:1:2::{number}") for number in range(4)]
        statuses = [(await person.open(f"{server.issuer}/authorize")).status for person in people]
        assert statuses == [400, 400, 400, 429]


async def test_token_requests_are_limited_by_client_and_address(fhir_server: str) -> None:
    async with run_smart_server(fhir_server, change=limits(token_requests=3)) as server:
        later = AdjustableClock(server)
        token: dict[str, str | None] = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
        app = server.app("backend")

        async def request(address: str) -> Any:
            return await app.post("/token", token, **come_from(address))

        statuses = [(await request(HERE)).status_code for _ in range(4)]
        assert statuses == [200] * 3 + [429]
        refused = await request(HERE)
        assert oauth_error(refused, 429) == "temporarily_unavailable"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert (await request(ELSEWHERE)).status_code == 200
        tokens = await server.request_tokens(server.app(), SCOPE)
        assert tokens["access_token"], "other clients are not held back"
        assert refusals(server) == [("token_requests", "backend", HERE)] * 2
        assert EventKind.TOKEN_REFUSED not in {event.kind for event in server.telemetry.events}, "told once"
        later.advance(61)
        assert (await request(HERE)).status_code == 200


async def test_requests_of_nobody_are_limited_by_address(fhir_server: str) -> None:
    async with run_smart_server(fhir_server, change=limits(token_requests=3)) as server:
        statuses = []
        for number in range(5):
            form = {"grant_type": "authorization_code", "code": "x", "client_id": f"nobody-{number}"}
            response = await server.http.post(f"{server.issuer}/token", data=form, headers=come_from(HERE))
            statuses.append(response.status_code)
        assert statuses == [400] * 3 + [429] * 2
        assert (await server.request_tokens(server.app(), SCOPE))["access_token"]


async def test_refresh_tokens_are_guessed_only_so_often_and_a_right_one_is_never_held_back(fhir_server: str) -> None:
    async with run_smart_server(fhir_server, change=limits(failed_grants=3)) as server:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        responses = [await app.refresh("a-guess") for _ in range(5)]
        assert [response.status_code for response in responses] == [400] * 3 + [429] * 2
        assert oauth_error(responses[-1], 429) == "temporarily_unavailable"
        refresh: dict[str, str | None] = {"grant_type": "refresh_token", "refresh_token": "a-guess"}
        in_browser = await app.post("/token", refresh, origin="https://app.example")
        assert in_browser.headers["access-control-expose-headers"] == "Retry-After", "an app in a browser sees it too"
        assert (await app.refresh(tokens["refresh_token"])).status_code == 200
        assert (await app.exchange("a-guess")).status_code == 429
        assert (await server.request_tokens(app, SCOPE))["access_token"]


@pytest.mark.parametrize("door", ["launch", "rpc", "smart-launch"])
async def test_launches_are_limited_by_launcher_and_address(fhir_server: str, door: str) -> None:
    async with run_smart_server(fhir_server, change=limits(launches=3)) as server:

        async def launch(name: str, address: str) -> Any:
            options: dict[str, Any] = {"auth": (name, LAUNCHER_SECRET), "headers": come_from(address)}
            match door:
                case "launch":
                    body: dict[str, Any] = {"client_id": "public-app", "launch_uri": LAUNCH_URI}
                    return await server.http.post(f"{server.issuer}/launch", json=body, **options)
                case "rpc":
                    body = {"method": "aidbox.smart/get-launch-uri", "params": {"client": "public-app"}}
                    return await server.http.post(f"{server.root}/rpc", json=body, **options)
            return await server.http.get(f"{server.base}/ClientApplication/public-app/$smart-launch", **options)

        statuses = [(await launch("ehr", HERE)).status_code for _ in range(4)]
        assert (set(statuses[:3]) <= {200, 201, 302}, statuses[3]) == (True, 429)
        refused = await launch("ehr", HERE)
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert "Too many launches. Please wait a minute." in refused.text
        assert (await launch("trusted-ehr", HERE)).status_code in {200, 201, 302}
        assert (await launch("ehr", ELSEWHERE)).status_code in {200, 201, 302}


async def test_launches_from_the_app_gallery_are_limited_by_address(fhir_server: str) -> None:
    async with run_smart_server(fhir_server, change=limits(launches=1)) as server:
        person = person_at(server, HERE)
        await try_password(person, server, "patient")
        gallery = await person.open(f"{server.issuer}/apps")
        assert (await person.submit(gallery, "/apps", client="public-app")).left_for
        page = await person.submit(gallery, "/apps", client="public-app")
        assert (page.status, page.left_for) == (429, None)
        assert "Too many launches. Please wait a minute." in page.text
        assert 0 < int(page.headers["retry-after"]) <= 60
        assert await create_launch(server, context={"patient": "pat-a"}), "launchers are counted on their own"


async def test_registrations_are_limited_by_address_and_hour(fhir_server: str) -> None:
    async with run_smart_server(fhir_server, change=limits(registrations=2)) as server:
        later = AdjustableClock(server)
        metadata = {"redirect_uris": [CALLBACK]}

        async def register(address: str) -> Any:
            return await server.http.post(f"{server.issuer}/register", json=metadata, headers=come_from(address))

        responses = [await register(HERE) for _ in range(3)]
        assert [response.status_code for response in responses] == [201, 201, 429]
        assert oauth_error(responses[-1], 429) == "temporarily_unavailable"
        assert 3500 < int(responses[-1].headers["retry-after"]) <= 3600
        assert (await register(ELSEWHERE)).status_code == 201
        later.advance(3601)
        assert (await register(HERE)).status_code == 201


async def test_0_means_no_limit(fhir_server: str) -> None:
    none = {"authorization_requests": 0, "token_requests": 0, "failed_grants": 0, "launches": 0, "registrations": 0}
    async with run_smart_server(fhir_server, change=limits(**none)) as server:
        metadata = {"redirect_uris": [CALLBACK]}
        for _ in range(25):
            assert (await server.http.post(f"{server.issuer}/register", json=metadata)).status_code == 201
        assert (await server.request_tokens(server.app(), SCOPE))["access_token"]
        assert await create_launch(server, context={"patient": "pat-a"})
        assert {(await server.app().refresh("a-guess")).status_code for _ in range(130)} == {400}
        assert refusals(server) == []
