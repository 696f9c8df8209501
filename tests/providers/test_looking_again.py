"""What the gateway keeps of a provider, and when it asks again: the clock is passed in, the provider is on a socket."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from joserfc.jwk import ECKey
from starlette.responses import Response

from gateway.upstream.control import ControlClient
from gateway.web.smart.provider_errors import SignInError, SignInReason
from gateway.web.smart.provider_metadata import LIFETIME
from gateway.web.smart.providers import Expected, ProviderSettings, SignInProvider, Wishes
from tests.providers.hostile import Hostile, Lies, hostile_provider
from tests.providers.visiting import CLIENT_ID, CLIENT_SECRET

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOW = time.time()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Hostile]:
    async with hostile_provider() as running:
        yield running


@pytest.fixture
def hostile(served: Hostile) -> Iterator[Hostile]:
    served.speak_for(0)
    # The provider's clock is the test's: the module may have been read long before it runs.
    served.clock = lambda: NOW
    yield served
    served.jwks_name = "jwks"


@pytest_asyncio.fixture(loop_scope="module")
async def provider(hostile: Hostile) -> AsyncIterator[SignInProvider]:
    told = ProviderSettings("Clinic", hostile.issuer, CLIENT_ID, CLIENT_SECRET, "openid", "name", "fhirUser")
    control = ControlClient()
    yield SignInProvider(told, control, "https://fhir.example.org/auth/signed-in", ("https://fhir.example.org/r4",))
    await control.aclose()


async def sign_in(provider: SignInProvider, hostile: Hostile, now: float = NOW) -> str:
    departure = await provider.departure("a-request", Wishes(), now)
    hostile.authorized(departure.location)
    signed_in = await provider.arrival("a-code", Expected(departure.nonce, departure.verifier), now)
    return signed_in.user.name


async def test_the_metadata_are_read_once_and_again_after_some_minutes(
    provider: SignInProvider, hostile: Hostile
) -> None:
    for now in (NOW, NOW + LIFETIME - 1):
        await provider.departure("a-request", Wishes(), now)
    assert hostile.asked == ["discovery"]
    await provider.departure("a-request", Wishes(), NOW + LIFETIME)
    assert hostile.asked == ["discovery", "discovery"]


async def test_many_who_leave_at_once_ask_once(provider: SignInProvider, hostile: Hostile) -> None:
    await asyncio.gather(*(provider.departure(str(one), Wishes(), NOW) for one in range(20)))
    assert hostile.asked == ["discovery"]


async def test_who_goes_away_while_it_is_asked_spoils_it_for_nobody(provider: SignInProvider, hostile: Hostile) -> None:
    first, second = (asyncio.ensure_future(provider.departure(name, Wishes(), NOW)) for name in ("one", "two"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).location.startswith(hostile.issuer)
    assert hostile.asked == ["discovery"]


async def test_it_is_asked_again_after_a_failure(provider: SignInProvider, hostile: Hostile) -> None:
    hostile.lies = Lies(answers={"discovery": Response("no", 500)})
    with pytest.raises(SignInError):
        await provider.departure("a-request", Wishes(), NOW)
    hostile.lies = Lies()
    assert await sign_in(provider, hostile) == "Dr Dora Demo"
    hostile.lies = Lies(answers={"token": Response("no", 500)})
    with pytest.raises(SignInError) as refused:
        await sign_in(provider, hostile)
    assert refused.value.reason is SignInReason.UNAVAILABLE
    hostile.lies = Lies()
    hostile.asked.clear()
    assert await sign_in(provider, hostile) == "Dr Dora Demo"
    assert hostile.asked == ["discovery", "token"], "the keys are still the same ones"


async def test_keys_that_moved_are_found_after_one_failure(provider: SignInProvider, hostile: Hostile) -> None:
    await sign_in(provider, hostile)
    hostile.jwks_name, hostile.key = "new-keys", ECKey.generate_key("P-256", parameters={"kid": "moved"})
    with pytest.raises(SignInError):
        await sign_in(provider, hostile)
    assert await sign_in(provider, hostile) == "Dr Dora Demo"
    assert hostile.asked[-3:] == ["discovery", "token", "new-keys"]


async def test_a_new_key_at_the_old_place_is_found_at_once(provider: SignInProvider, hostile: Hostile) -> None:
    await sign_in(provider, hostile)
    hostile.key = ECKey.generate_key("P-256", parameters={"kid": "rotated"})
    assert await sign_in(provider, hostile, NOW + 1) == "Dr Dora Demo"
    assert hostile.asked == ["discovery", "token", "jwks", "token", "jwks"]


IN_THE_ID_TOKEN_ALONE = {"name": None, "fhirUser": None}


async def test_claims_that_the_id_token_lacks_are_asked_for(provider: SignInProvider, hostile: Hostile) -> None:
    hostile.lies = Lies(claims=IN_THE_ID_TOKEN_ALONE, userinfo={"name": "Dr Dora Delta", "fhirUser": "Patient/pat-a"})
    departure = await provider.departure("a-request", Wishes(), NOW)
    hostile.authorized(departure.location)
    signed_in = await provider.arrival("a-code", Expected(departure.nonce, departure.verifier), NOW)
    assert (signed_in.user.name, signed_in.user.patient) == ("Dr Dora Delta", "pat-a")


async def test_what_the_id_token_says_counts_for_more(provider: SignInProvider, hostile: Hostile) -> None:
    hostile.lies = Lies(claims={"fhirUser": None}, userinfo={"name": "Another", "fhirUser": "Patient/pat-a"})
    assert await sign_in(provider, hostile) == "Dr Dora Demo"


UNUSABLE = {
    "of another user": (Lies(userinfo={"sub": "otto"}), SignInReason.NOT_BELIEVED),
    "of nobody": (Lies(userinfo={"sub": None}), SignInReason.NOT_BELIEVED),
    "as a page": (Lies(answers={"userinfo": Response("<h1>")}), SignInReason.UNAVAILABLE),
    "as an error": (Lies(answers={"userinfo": Response("no", 500)}), SignInReason.UNAVAILABLE),
    "never": (Lies(answers={"userinfo": Response(status_code=401)}), SignInReason.UNAVAILABLE),
}


@pytest.mark.parametrize(("lies", "reason"), UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_nobody_signs_in_where_the_userinfo_comes(
    provider: SignInProvider, hostile: Hostile, lies: Lies, reason: SignInReason
) -> None:
    lies.claims = IN_THE_ID_TOKEN_ALONE
    hostile.lies = lies
    with pytest.raises(SignInError) as refused:
        await sign_in(provider, hostile)
    assert refused.value.reason is reason


async def test_without_a_userinfo_endpoint_the_id_token_is_all_there_is(
    provider: SignInProvider, hostile: Hostile
) -> None:
    hostile.lies = Lies(claims=IN_THE_ID_TOKEN_ALONE, discovery={"userinfo_endpoint": None})
    assert await sign_in(provider, hostile) == "dora"


PROOFS = {
    "by HTTP Basic where nothing is said": (None, False),
    "by HTTP Basic where both are known": (["client_secret_post", "client_secret_basic"], False),
    "in the form where that alone is known": (["client_secret_post"], True),
    "by HTTP Basic where neither is known": (["private_key_jwt"], False),
}


@pytest.mark.parametrize(("methods", "in_form"), PROOFS.values(), ids=PROOFS.keys())
async def test_the_secret_is_told(
    provider: SignInProvider, hostile: Hostile, methods: list[str] | None, in_form: bool
) -> None:
    hostile.lies = Lies(discovery={"token_endpoint_auth_methods_supported": methods})
    await sign_in(provider, hostile)
    assert (hostile.forms[-1].get("client_secret") == CLIENT_SECRET) == in_form


WISHES = {
    "nothing": (Wishes(), {}),
    "a name": (Wishes(hint="dora@example.org"), {"login_hint": "dora@example.org"}),
    "a new login": (Wishes(anew=True), {"prompt": "login"}),
    "a recent login": (Wishes(max_age=60), {"max_age": "60"}),
    "both": (Wishes(anew=True, max_age=60), {"prompt": "login", "max_age": "60"}),
}


@pytest.mark.parametrize(("wishes", "parameters"), WISHES.values(), ids=WISHES.keys())
async def test_the_wishes_of_an_app_are_passed_on(
    provider: SignInProvider, hostile: Hostile, wishes: Wishes, parameters: dict[str, str]
) -> None:
    hostile.authorized((await provider.departure("a-request", wishes, NOW)).location)
    told = {name: value for name, value in hostile.asked_for.items() if name in {"prompt", "max_age", "login_hint"}}
    assert told == parameters
