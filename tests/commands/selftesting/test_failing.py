"""The self-test notices what is broken: each of its checks fails where what it promises does not hold."""

import asyncio
from collections.abc import Iterator

import pytest

from gateway.commands.selftesting.attempts import read_attempts
from gateway.commands.selftesting.check_results import Outcome
from tests.commands.selftesting.breaking_proxy import Fault, breaking_proxy
from tests.commands.selftesting.tested_gateway import TestedGateway, run_selftest, sentences

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(autouse=True)
def _left_as_it_was(gateway: TestedGateway) -> Iterator[None]:
    before = gateway.stored()
    yield
    gateway.remove_leftovers()
    assert gateway.stored() == before


SHORT = {
    Fault.FORWARDED_HOST: [
        "headers: forged forwarding headers change no document, link or redirect",
        "headers: a forged Host names no address in an answer",
    ],
    Fault.CREDENTIALED_CORS: [
        "headers: no page of another origin uses the user's cookies, or the pages and the admin API at all",
    ],
    Fault.NO_PAGE_HEADERS: [
        "headers: answers cannot be taken for another type of content (nosniff)",
        "headers: pages are not cached, framed or referred from, and run no script",
    ],
    Fault.OTHER_DOCUMENTS: [
        "discovery: the CapabilityStatement is public, of FHIR R4, and names the same endpoints",
        "discovery: the OpenID configuration agrees with the SMART configuration",
        "discovery: the key set has public keys alone",
        "upstream: no document of the gateway names the address of the FHIR server behind",
    ],
    Fault.PUBLISHED: [
        "refusals: the metrics are not published",
        "refusals: an address below the issuer that is not published is 404",
        "refusals: the admin API opens by its own token alone",
        "authorization: a backend service is registered and gets a token",
        "authorization: two apps for users are registered for the test",
    ],
    Fault.EVERY_REQUEST: [
        "headers: an app that is not registered is sent nowhere",
        "authorization: a public app needs PKCE, by S256",
        "authorization: a redirect URI is compared character by character, and no other one is followed",
        "authorization: no token is issued without a code (implicit flow), and none without a state",
    ],
    Fault.REPEATED_TOKENS: [
        "authorization: a client assertion counts once, for this server, signed by the app's own key",
    ],
    Fault.NOTHING_ENDS: ["authorization: its token ends when it is removed"],
}  # fmt: skip


@pytest.mark.parametrize("fault", SHORT, ids=lambda fault: fault.name.lower())
async def test_the_short_form_finds_what_is_broken_and_nothing_else(gateway: TestedGateway, fault: Fault) -> None:
    async with breaking_proxy(gateway.process.root, gateway.sekmet.base_url, fault) as address:
        target = gateway.target(address=address, upstream=gateway.sekmet.base_url, patience=1.0)
        results = await asyncio.to_thread(run_selftest, target, is_short=True)
    assert sentences(results, Outcome.FAILED) == SHORT[fault]


async def test_documents_that_no_page_may_read_are_a_warning(gateway: TestedGateway) -> None:
    async with breaking_proxy(gateway.process.root, gateway.sekmet.base_url, Fault.CLOSED_DOCUMENTS) as address:
        results = await asyncio.to_thread(run_selftest, gateway.target(address=address), is_short=True)
    assert sentences(results, Outcome.FAILED) == []
    assert sentences(results, Outcome.WARNING) == ["headers: the discovery documents are open to every origin"]


async def test_a_server_without_a_gateway_is_found_open(gateway: TestedGateway) -> None:
    target = gateway.target(base=gateway.sekmet.base_url, admin_token=None)
    failed = sentences(await asyncio.to_thread(run_selftest, target), Outcome.FAILED)
    assert "refusals: a request without a token is 401, with a challenge and nothing else" in failed
    assert "refusals: a token is refused that is not signed (alg none)" in failed
    assert "refusals: credentials count nowhere but in the Authorization header, as a bearer token" in failed


# What sekmet itself refuses or does not know, so that a way past the gateway does not show it.
KEPT_BY_SEKMET = {
    "leak_06: operations on a type, and on the whole server",
    "leak_07: the FHIR server's own handles of pages",
    "leak_08: a search of the whole system",
    "leak_13: a conditional patch that names no patient, without the letter u",
}


async def test_a_way_around_the_checks_is_found_by_every_kind_of_check(gateway: TestedGateway) -> None:
    async with breaking_proxy(gateway.process.root, gateway.sekmet.base_url, Fault.OPEN) as address:
        results = await asyncio.to_thread(run_selftest, gateway.target(address=address, patience=1.0))
    failed = sentences(results, Outcome.FAILED)
    for sentence in (
        "refusals: a request without a token is 401, with a challenge and nothing else",
        "refusals: a token is refused that is expired",
        "authorization: it searches, and is refused what it was not granted",
        "tokens: nothing but an access token opens the FHIR server",
        "tokens: a token that is revoked ends in every process",
        "granular: a scope for laboratory results shows no vital signs",
        "leaks: leak_01: a reverse include of a type that is out of scope",
        "leaks: leak_04: another patient, by id, by search and by every patient",
        "leaks: leak_30: refused and absent records",
        "writes: leak_14: a create for the other patient, or for both",
        "writes: leak_26: a transaction of which one entry is for the other patient",
    ):
        assert sentence in failed
    attempts = {f"{attempt.id}: {attempt.attempt}" for attempt in read_attempts()}
    assert attempts - {sentence.partition(": ")[2] for sentence in failed} == KEPT_BY_SEKMET
    assert "clean-up" not in {result.family for result in results if result.outcome is Outcome.FAILED}


FULL: dict[tuple[Fault, ...], list[str]] = {
    (Fault.REPEATED_TOKENS, Fault.OTHER_PATIENT, Fault.NO_DELETE): [
        "authorization: a client assertion counts once, for this server, signed by the app's own key",
        "launch: the token response names the patient and grants no more than was asked for",
        "launch: the id_token is signed by a published key, for this app, and names the user",
        "launch: a launch is of no use to another app, and gives its own app the patient",
        "tokens: a code that is used twice ends what it opened",
        "tokens: a refresh token that is used again ends what it opened",
        "writes: an app creates, updates by version and deletes a record of its own patient",
        "clean-up: the canary patients and their records are removed",
    ],
    (Fault.NO_PKCE, Fault.NOTHING_ENDS, Fault.NO_STATE): [
        "authorization: its token ends when it is removed",
        "authorization: a public app needs PKCE, by S256",
        "launch: a user signs in and agrees, and the app gets a code and its state",
        "tokens: a code needs its verifier, its redirect URI and its own app",
        "tokens: a token that is revoked ends in every process",
        "leaks: leak_07: a link to a page opens for its own patient alone, until the token ends",
    ],
}


@pytest.mark.parametrize("faults", FULL, ids=lambda faults: "-".join(fault.name.lower() for fault in faults))
async def test_the_full_form_finds_what_is_broken_and_nothing_else(
    gateway: TestedGateway, faults: tuple[Fault, ...]
) -> None:
    async with breaking_proxy(gateway.process.root, gateway.sekmet.base_url, *faults) as address:
        results = await asyncio.to_thread(run_selftest, gateway.target(address=address, patience=1.0))
    assert sentences(results, Outcome.FAILED) == FULL[faults]
    if Fault.NO_DELETE in faults:
        # What is left is named, so that it can be removed by hand.
        [left] = [one.found for one in results if one.family == "clean-up" and one.outcome is Outcome.FAILED]
        assert gateway.stored().keys() >= {word.rstrip(":") for word in left.split() if "/" in word}
        assert left.count("answered with 403") >= 9
