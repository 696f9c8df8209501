"""When the keys of a client are fetched, and that stale keys are never used (CA-9..CA-15, edge cases 76-77)."""

import asyncio
import re
from collections.abc import Callable

import pytest

from gateway.credentials.client_keys import RETRY_DELAY_SECONDS, ClientKeys
from gateway.credentials.issuer_keys import REFETCH_INTERVAL_SECONDS
from gateway.upstream.documents.control_client import ControlClient
from tests.credentials.client_key_sets import (
    BOTH_SET,
    NEW_SET,
    OLD,
    OLD_SET,
    UNKNOWN,
    client_with_url,
    get_key_or_error,
    is_key,
)
from tests.credentials.jwks_server import run_jwks_server
from tests.credentials.signed_tokens import NOW, jwks_document, published_jwk


@pytest.mark.requirement("CA-10")
async def test_keys_are_asked_for_by_get_as_json() -> None:
    async with run_jwks_server(OLD_SET) as server:
        assert is_key(await get_key_or_error(server.keys, client_with_url(server.url), "old", NOW))
        assert server.server.requests[0].startswith(b"GET /fhir HTTP/1.1\r\n")
        assert re.search(rb"\r\naccept: application/json\r\n", server.server.requests[0], re.IGNORECASE)


async def test_a_set_is_fetched_once_and_again_when_its_life_is_over() -> None:
    async with run_jwks_server(OLD_SET, "cache-control: max-age=60\r\n") as server:
        client = client_with_url(server.url)
        assert is_key(await get_key_or_error(server.keys, client, "old", NOW))
        assert is_key(await get_key_or_error(server.keys, client, "old", NOW + 59.9))
        assert server.fetches == 1
        assert is_key(await get_key_or_error(server.keys, client, "old", NOW + 60))
        assert server.fetches == 2


async def test_a_key_that_was_taken_back_stops_when_the_life_of_the_set_is_over() -> None:
    # Edge case 76: removed at 30, used at 61.
    async with run_jwks_server(BOTH_SET, "cache-control: max-age=60\r\n") as server:
        client = client_with_url(server.url)
        await get_key_or_error(server.keys, client, "old", NOW)
        server.body = NEW_SET
        assert is_key(await get_key_or_error(server.keys, client, "old", NOW + 30))
        assert await get_key_or_error(server.keys, client, "old", NOW + 61) == UNKNOWN
        assert server.fetches == 2


@pytest.mark.requirement("CA-11", "CA-14")
@pytest.mark.parametrize("control", ["no-store", "no-cache", "max-age=0"])
async def test_a_set_that_must_not_be_kept_is_fetched_every_time(control: str) -> None:
    async with run_jwks_server(BOTH_SET, f"cache-control: {control}\r\n") as server:
        client = client_with_url(server.url)
        for count in (1, 2, 3):
            assert is_key(await get_key_or_error(server.keys, client, "old", NOW))
            assert server.fetches == count
        server.body = NEW_SET
        assert await get_key_or_error(server.keys, client, "old", NOW) == UNKNOWN
        assert server.fetches == 4


async def test_those_who_come_during_a_fetch_share_it_even_where_nothing_may_be_kept() -> None:
    async with run_jwks_server(BOTH_SET, "cache-control: no-store\r\n") as server:
        server.open.clear()
        waiting = [
            asyncio.create_task(get_key_or_error(server.keys, client_with_url(server.url), kid, NOW))
            for kid in ["old", "new"] * 10
        ]
        await server.begun.wait()
        server.open.set()
        assert all(map(is_key, await asyncio.gather(*waiting)))
        assert server.fetches == 1


async def test_one_who_goes_away_does_not_take_the_fetch_along() -> None:
    async with run_jwks_server(OLD_SET) as server:
        server.open.clear()
        first, second = (
            asyncio.create_task(get_key_or_error(server.keys, client_with_url(server.url), "old", NOW))
            for _ in range(2)
        )
        await server.begun.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        server.open.set()
        assert is_key(await second)
        assert server.fetches == 1


async def test_a_new_key_is_found_before_the_life_of_the_set_is_over() -> None:
    async with run_jwks_server(OLD_SET) as server:
        client = client_with_url(server.url)
        await get_key_or_error(server.keys, client, "old", NOW)
        server.body = BOTH_SET
        assert is_key(await get_key_or_error(server.keys, client, "new", NOW + 1))
        assert is_key(await get_key_or_error(server.keys, client, "old", NOW + 2))
        assert server.fetches == 2


async def test_all_who_bring_a_new_key_wait_for_one_fetch_and_find_it() -> None:
    async with run_jwks_server(OLD_SET) as server:
        client = client_with_url(server.url)
        await get_key_or_error(server.keys, client, "old", NOW)
        server.body = BOTH_SET
        assert all(
            map(
                is_key,
                await asyncio.gather(*(get_key_or_error(server.keys, client, "new", NOW + 1) for _ in range(20))),
            )
        )
        assert server.fetches == 2


@pytest.mark.requirement("CA-14")
async def test_made_up_key_ids_are_worth_one_fetch_in_a_while() -> None:
    async with run_jwks_server(OLD_SET) as server:
        client = client_with_url(server.url)
        await get_key_or_error(server.keys, client, "old", NOW)
        for number in range(20):
            assert await get_key_or_error(server.keys, client, f"made-up-{number}", NOW + 1 + number) == UNKNOWN
        assert server.fetches == 2
        assert await get_key_or_error(server.keys, client, "made-up", NOW + 1 + REFETCH_INTERVAL_SECONDS) == UNKNOWN
        assert server.fetches == 3


async def test_a_made_up_key_id_is_not_worth_two_fetches_at_once() -> None:
    async with run_jwks_server(OLD_SET) as server:
        assert await get_key_or_error(server.keys, client_with_url(server.url), "made-up", NOW) == UNKNOWN
        assert server.fetches == 1


async def test_made_up_key_ids_of_one_client_do_not_keep_another_from_its_new_key() -> None:
    async with run_jwks_server(OLD_SET) as server:
        client, other = client_with_url(server.url), client_with_url(server.url + "/other")
        for each_client in (client, other):
            await get_key_or_error(server.keys, each_client, "old", NOW)
        await get_key_or_error(server.keys, other, "made-up", NOW + 1)
        server.body = BOTH_SET
        assert is_key(await get_key_or_error(server.keys, client, "new", NOW + 2))


BROKEN: dict[str, tuple[int, bytes, str]] = {
    "an error status": (500, OLD_SET, "ValueError: status 500"),
    "a redirect": (302, OLD_SET, "ValueError: status 302"),
    "no JSON": (200, b"<html>sorry</html>", "ValueError: the document is not JSON in UTF-8"),
    "no key set": (200, b"{}", "ValueError: the document is not a JWKS"),
    "too many keys": (
        200,
        jwks_document(*[published_jwk(OLD, str(number)) for number in range(201)]),
        "ValueError: the JWKS has more",
    ),
}


@pytest.mark.parametrize(("status", "body", "problem"), BROKEN.values(), ids=BROKEN.keys())
async def test_old_keys_do_not_serve_while_new_ones_cannot_be_had(status: int, body: bytes, problem: str) -> None:
    async with run_jwks_server(OLD_SET, "cache-control: max-age=60\r\n") as server:
        client = client_with_url(server.url)
        assert is_key(await get_key_or_error(server.keys, client, "old", NOW))
        server.status, server.body = status, body
        answer = await get_key_or_error(server.keys, client, "old", NOW + 60)
        assert isinstance(answer, str)
        assert answer.startswith(f"the client's keys cannot be fetched: {problem}")
        server.status, server.body = 200, OLD_SET
        assert await get_key_or_error(server.keys, client, "old", NOW + 60 + RETRY_DELAY_SECONDS - 0.1) == answer
        assert server.fetches == 2
        assert is_key(await get_key_or_error(server.keys, client, "old", NOW + 60 + RETRY_DELAY_SECONDS))


async def test_a_fetch_for_a_new_key_that_fails_leaves_the_others_for_their_life() -> None:
    async with run_jwks_server(OLD_SET, "cache-control: max-age=60\r\n") as server:
        client = client_with_url(server.url)
        await get_key_or_error(server.keys, client, "old", NOW)
        server.status = 503
        assert not is_key(await get_key_or_error(server.keys, client, "new", NOW + 1))
        assert is_key(await get_key_or_error(server.keys, client, "old", NOW + 2))
        assert not is_key(await get_key_or_error(server.keys, client, "old", NOW + 60))


async def test_a_server_that_is_gone_is_a_refusal() -> None:
    async with run_jwks_server(OLD_SET) as server:
        url = server.url
    async with run_jwks_server(OLD_SET) as server:
        assert isinstance(answer := await get_key_or_error(server.keys, client_with_url(url), "old", NOW), str)
        assert answer.startswith("the client's keys cannot be fetched: ControlError: The request to 127.0.0.1 failed")


@pytest.mark.parametrize("secure", [lambda url: url, lambda url: url.replace("http:", "https:")], ids=["http", "https"])
async def test_an_address_inside_our_network_is_never_asked(secure: Callable[[str], str]) -> None:
    async with run_jwks_server(OLD_SET) as server:
        control = ControlClient(public_only=True)
        answer = await get_key_or_error(
            ClientKeys(control.get_document), client_with_url(secure(server.url)), "old", NOW
        )
        await control.aclose()
        assert isinstance(answer, str)
        assert answer.startswith("the client's keys cannot be fetched: ControlError: ")
        assert server.server.connections == 0


async def test_only_so_many_clients_are_remembered() -> None:
    async with run_jwks_server(OLD_SET, max_cached=2) as server:
        one, two, three = (client_with_url(f"{server.url}/{name}") for name in ("one", "two", "three"))
        for client in (one, two, one, three):
            assert is_key(await get_key_or_error(server.keys, client, "old", NOW))
        assert server.fetches == 3
        # The second was the least recently used one, so it was dropped.
        await get_key_or_error(server.keys, one, "old", NOW)
        assert server.fetches == 3
        await get_key_or_error(server.keys, two, "old", NOW)
        assert server.fetches == 4


async def test_a_client_that_moved_its_keys_is_asked_at_its_new_address() -> None:
    async with run_jwks_server(OLD_SET) as server:
        await get_key_or_error(server.keys, client_with_url(server.url), "old", NOW)
        await get_key_or_error(server.keys, client_with_url(server.url + "/new"), "old", NOW)
        assert server.server.requests[1].startswith(b"GET /fhir/new HTTP/1.1\r\n")
