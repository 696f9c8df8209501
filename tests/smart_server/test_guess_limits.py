"""The limits on wrong passwords and secrets, which do not lock out who knows the right one."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio

from gateway.telemetry.server_event import EventKind
from tests.smart_server.claimed_addresses import (
    behind_a_proxy,
    come_from,
    has_to_wait,
    is_signed_in,
    person_at,
    sign_in_from,
    try_password,
)
from tests.smart_server.client_credentials import SYMMETRIC, basic_auth, exchange_bad_code
from tests.smart_server.passing_time import AdjustableClock
from tests.smart_server.running_server import ADMIN_TOKEN, LAUNCHER_SECRET, SECRET, RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

HOME, WARD, ATTACKER = "192.0.2.1", "198.51.100.1", "203.0.113.1"


@pytest_asyncio.fixture(loop_scope="module")
async def strict(fhir_server: str) -> AsyncIterator[tuple[RunningServer, AdjustableClock]]:
    """A server that allows two wrong passwords for a user name and five from a network, with a clock to advance."""
    change = behind_a_proxy(login_attempts=2, rate_limits={"failed_logins_per_network": 5})
    async with run_smart_server(fhir_server, change=change) as running:
        yield running, AdjustableClock(running, stands_still=True)


Strict = tuple[RunningServer, AdjustableClock]


class TestPasswords:
    async def test_an_address_that_guessed_has_to_wait_and_nobody_else(self, strict: Strict) -> None:
        server, later = strict
        pages = [await sign_in_from(server, ATTACKER, "doctor", "wrong") for _ in range(3)]
        assert [has_to_wait(page) for page in pages] == [False, False, True]
        assert has_to_wait(await sign_in_from(server, ATTACKER, "doctor")), "a guess that is right comes too late"
        assert is_signed_in(await sign_in_from(server, WARD, "doctor"))
        assert is_signed_in(await sign_in_from(server, ATTACKER, "nurse")), "other users are not held back"
        later.advance(301)
        assert is_signed_in(await sign_in_from(server, ATTACKER, "doctor"))

    async def test_who_is_attacked_from_everywhere_signs_in_where_they_did_before(self, strict: Strict) -> None:
        server, later = strict
        assert is_signed_in(await sign_in_from(server, HOME, "doctor"))
        laptop = person_at(server, WARD)
        assert is_signed_in(await try_password(laptop, server, "doctor"))
        guesses = [await sign_in_from(server, f"203.0.{number}.1", "doctor", "wrong") for number in range(6)]
        assert [has_to_wait(page) for page in guesses] == [False] * 5 + [True]
        assert has_to_wait(await sign_in_from(server, "203.0.99.1", "doctor")), "a new place has to wait for its turn"
        assert is_signed_in(await sign_in_from(server, HOME, "doctor")), "the address is known"
        laptop.client.headers.update(come_from("203.0.98.1"))
        assert is_signed_in(await try_password(laptop, server, "doctor")), "the browser is known"
        assert is_signed_in(await sign_in_from(server, "203.0.97.1", "nurse")), "other users are not held back"
        later.advance(300)
        assert is_signed_in(await sign_in_from(server, "203.0.99.1", "doctor")), "it is slowed down, never locked"

    async def test_a_colleague_at_the_same_address_does_not_lock_a_known_browser(self, strict: Strict) -> None:
        server, _ = strict
        own = person_at(server, WARD)
        assert is_signed_in(await try_password(own, server, "doctor"))
        pages = [await sign_in_from(server, WARD, "doctor", "wrong") for _ in range(3)]
        assert has_to_wait(pages[-1])
        assert is_signed_in(await try_password(own, server, "doctor"))
        pages = [await try_password(own, server, "doctor", "wrong") for _ in range(3)]
        assert has_to_wait(pages[-1]), "who takes the browser away may not guess either"

    async def test_a_cookie_that_was_made_up_is_of_no_use(self, strict: Strict) -> None:
        server, _ = strict
        guesser = person_at(server, ATTACKER)
        pages = []
        for number in range(3):
            guesser.client.cookies.set("smart-known-browser", f"{number}".zfill(43))
            pages.append(await try_password(guesser, server, "doctor", "wrong"))
        assert has_to_wait(pages[-1])

    async def test_a_browser_is_known_for_the_users_who_signed_in_in_it(self, strict: Strict) -> None:
        server, _ = strict
        shared = person_at(server, WARD)
        for user in ("doctor", "nurse"):
            assert is_signed_in(await try_password(shared, server, user))
        for number in range(6):
            await sign_in_from(server, f"203.0.{number}.1", "clerk", "wrong")
        shared.client.headers.update(come_from("203.0.99.1"))
        assert has_to_wait(await try_password(shared, server, "clerk")), "the browser is not known for this one"
        for user in ("doctor", "nurse"):
            assert is_signed_in(await try_password(shared, server, user))

    @pytest.mark.parametrize(
        ("network", "elsewhere"),
        [("203.0.113.{}", "203.0.114.1"), ("2001:db8:1:2::{}", "2001:db8:1:3::1")],
        ids=["IPv4", "IPv6"],
    )
    async def test_invented_names_hold_back_their_network_and_not_those_who_are_known_there(
        self, strict: Strict, network: str, elsewhere: str
    ) -> None:
        server, _ = strict
        assert is_signed_in(await sign_in_from(server, network.format(99), "doctor"))
        pages = [await sign_in_from(server, network.format(number), f"nobody-{number}") for number in range(1, 8)]
        assert [has_to_wait(page) for page in pages] == [False] * 5 + [True] * 2
        assert has_to_wait(await sign_in_from(server, network.format(98), "nurse")), (
            "as any name that is not known there"
        )
        assert is_signed_in(await sign_in_from(server, network.format(99), "doctor"))
        assert is_signed_in(await sign_in_from(server, elsewhere, "nurse"))

    async def test_a_hundred_invented_names_behind_an_unknown_ingress_lock_nobody_out(self, fhir_server: str) -> None:
        async with run_smart_server(fhir_server) as server:
            assert is_signed_in(await sign_in_from(server, HOME, "doctor"))
            pages = [await sign_in_from(server, ATTACKER, f"nobody-{number}", "x") for number in range(101)]
            assert has_to_wait(pages[-1])
            assert is_signed_in(await sign_in_from(server, HOME, "doctor")), "here all have the address of the ingress"

    async def test_those_who_sign_in_rightly_do_not_lock_each_other_out(self, strict: Strict) -> None:
        server, _ = strict
        pages = await asyncio.gather(*(sign_in_from(server, WARD, "doctor") for _ in range(12)))
        assert all(is_signed_in(page) for page in pages)

    async def test_guesses_at_once_are_not_more_than_one_after_another(self, strict: Strict) -> None:
        server, _ = strict
        pages = await asyncio.gather(*(sign_in_from(server, ATTACKER, "doctor", "wrong") for _ in range(12)))
        assert [has_to_wait(page) for page in pages].count(False) == 2

    async def test_it_is_said_how_long_to_wait_in_the_request_of_an_app_too(self, strict: Strict) -> None:
        server, _ = strict
        person = person_at(server, ATTACKER)
        page = await person.open(server.app().authorization_url("openid"))
        for _ in range(3):
            page = await person.sign_in(page, "doctor", "wrong")
        assert has_to_wait(page)
        assert page.form("/login").action, "the page is still there for another user"
        event = server.telemetry.events[-1]
        assert (event.kind, event.reason, event.remote_address) == (EventKind.RATE_LIMITED, "user_guesses", ATTACKER)


async def send_secret(
    server: RunningServer, door: str, secret: str, name: str = "ehr", address: str = HOME
) -> httpx2.Response:
    """One request with a secret to one of the endpoints."""
    headers = come_from(address)
    match door:
        case "launch":
            return await server.http.post(f"{server.issuer}/launch", json={}, auth=(name, secret), headers=headers)
        case "rpc":
            return await server.http.post(f"{server.root}/rpc", json={}, auth=(name, secret), headers=headers)
        case "smart-launch":
            url = f"{server.base}/ClientApplication/public-app/$smart-launch"
            return await server.http.get(url, auth=(name, secret), headers=headers)
        case "token":
            return await exchange_bad_code(server, None, **basic_auth(f"old-app:{secret}"), **headers)
    url = f"{server.issuer}/admin/clients"
    return await server.http.get(url, headers={"authorization": f"Bearer {secret}", **headers})


RIGHT = {
    "launch": LAUNCHER_SECRET,
    "rpc": LAUNCHER_SECRET,
    "smart-launch": LAUNCHER_SECRET,
    "admin": ADMIN_TOKEN,
    "token": SECRET,
}


def forget_places(server: RunningServer) -> None:
    """Make the worker forget whom it knows, as if it had just been started."""
    smart_server = server.gateway._smart_server
    assert smart_server is not None
    smart_server.background_refresh._dependencies.limits.secrets._remembered.clear()


@pytest.mark.parametrize("door", RIGHT)
class TestSecrets:
    async def test_wrong_ones_are_not_tried_without_end(self, fhir_server: str, door: str) -> None:
        async with run_smart_server(fhir_server, change=behind_a_proxy()) as server:
            responses = [await send_secret(server, door, f"guess-{number}") for number in range(32)]
            assert [response.status_code for response in responses] == [401] * 30 + [429] * 2
            assert 0 < int(responses[-1].headers["retry-after"]) <= 60
            late = await send_secret(server, door, RIGHT[door])
            assert late.status_code == 429, "a guess that is right comes too late"
            assert (await send_secret(server, door, RIGHT[door], address=WARD)).status_code not in {401, 429}
            if door in {"launch", "rpc", "smart-launch"}:
                assert (await send_secret(server, door, RIGHT[door], "trusted-ehr")).status_code not in {401, 429}

    async def test_who_was_let_in_before_is_not_locked_out_by_others(self, fhir_server: str, door: str) -> None:
        async with run_smart_server(fhir_server, change=behind_a_proxy()) as server:
            assert (await send_secret(server, door, RIGHT[door])).status_code not in {401, 429}
            for number in range(31):
                await send_secret(server, door, f"guess-{number}")
            assert (await send_secret(server, door, "guess")).status_code == 429
            assert (await send_secret(server, door, RIGHT[door])).status_code not in {401, 429}
            forget_places(server)
            assert (await send_secret(server, door, RIGHT[door])).status_code not in {401, 429}, "a new worker knows it"

    async def test_guesses_from_everywhere_are_slowed_down(self, fhir_server: str, door: str) -> None:
        change = behind_a_proxy(rate_limits={"wrong_secrets": 2})
        async with run_smart_server(fhir_server, change=change) as server:
            assert (await send_secret(server, door, RIGHT[door])).status_code not in {401, 429}
            statuses = [
                (await send_secret(server, door, "guess", address=f"203.0.{number}.1")).status_code
                for number in range(6)
            ]
            assert statuses == [401] * 5 + [429]
            assert (await send_secret(server, door, RIGHT[door])).status_code not in {401, 429}

    async def test_without_a_limit_nothing_is_held_back(self, fhir_server: str, door: str) -> None:
        change = behind_a_proxy(rate_limits={"wrong_secrets": 0})
        async with run_smart_server(fhir_server, change=change) as server:
            statuses = {(await send_secret(server, door, "guess")).status_code for _ in range(65)}
            assert statuses == {401}


async def test_many_right_secrets_at_once_on_a_new_worker_are_all_accepted(fhir_server: str) -> None:
    change = behind_a_proxy(rate_limits={"wrong_secrets": 2})
    async with run_smart_server(fhir_server, change=change) as server:
        sent = (exchange_bad_code(server, None, **basic_auth(f"{SYMMETRIC}:{SECRET}")) for _ in range(40))
        assert {response.status_code for response in await asyncio.gather(*sent)} == {400}
