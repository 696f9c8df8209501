"""What the gateway caches of a provider, and when it reads that again."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from joserfc.jwk import ECKey
from starlette.responses import Response

from gateway.settings.authorization.smart_server import IdentityProvider
from gateway.smart_server.openid_provider.openid_client import ExpectedResponse, LoginOptions, OpenIdClient
from gateway.smart_server.openid_provider.provider_errors import ProviderLoginError, ProviderLoginReason
from gateway.smart_server.openid_provider.provider_metadata import LIFETIME_SECONDS
from gateway.upstream.documents.control_client import ControlClient
from tests.identity_providers.browser_login import CLIENT_ID, CLIENT_SECRET
from tests.identity_providers.hostile_provider import HostileProvider, Tampering, hostile_provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = time.time()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[HostileProvider]:
    async with hostile_provider() as running:
        yield running


@pytest.fixture
def hostile(served: HostileProvider) -> Iterator[HostileProvider]:
    served.impersonate(0)
    # The provider uses the clock of the test: the module may have been imported long before it runs.
    served.clock = lambda: NOW
    yield served
    served.jwks_name = "jwks"


@pytest_asyncio.fixture(loop_scope="module")
async def provider(hostile: HostileProvider) -> AsyncIterator[OpenIdClient]:
    settings = IdentityProvider.model_validate(
        {
            "name": "Clinic",
            "issuer": hostile.issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scopes": "openid",
            "name_claim": "name",
            "fhir_user_claim": "fhirUser",
        }
    )
    control = ControlClient()
    yield OpenIdClient(settings, control, "https://fhir.example.org/auth/signed-in", ("https://fhir.example.org/r4",))
    await control.aclose()


async def log_in(provider: OpenIdClient, hostile: HostileProvider, now: float = NOW) -> str:
    departure = await provider.start_login("a-request", LoginOptions(), now)
    hostile.callback_url(departure.location)
    signed_in = await provider.redeem_code("a-code", ExpectedResponse(departure.nonce, departure.verifier), now)
    return signed_in.user.name


async def test_the_metadata_are_read_once_and_again_after_some_minutes(
    provider: OpenIdClient, hostile: HostileProvider
) -> None:
    for now in (NOW, NOW + LIFETIME_SECONDS - 1):
        await provider.start_login("a-request", LoginOptions(), now)
    assert hostile.requested_documents == ["discovery"]
    await provider.start_login("a-request", LoginOptions(), NOW + LIFETIME_SECONDS)
    assert hostile.requested_documents == ["discovery", "discovery"]


async def test_many_who_leave_at_once_ask_once(provider: OpenIdClient, hostile: HostileProvider) -> None:
    await asyncio.gather(*(provider.start_login(str(number), LoginOptions(), NOW) for number in range(20)))
    assert hostile.requested_documents == ["discovery"]


async def test_who_goes_away_while_it_is_asked_spoils_it_for_nobody(
    provider: OpenIdClient, hostile: HostileProvider
) -> None:
    first, second = (asyncio.ensure_future(provider.start_login(name, LoginOptions(), NOW)) for name in ("one", "two"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).location.startswith(hostile.issuer)
    assert hostile.requested_documents == ["discovery"]


async def test_it_is_asked_again_after_a_failure(provider: OpenIdClient, hostile: HostileProvider) -> None:
    hostile.tampering = Tampering(responses={"discovery": Response("no", 500)})
    with pytest.raises(ProviderLoginError):
        await provider.start_login("a-request", LoginOptions(), NOW)
    hostile.tampering = Tampering()
    assert await log_in(provider, hostile) == "Dr Dora Demo"
    hostile.tampering = Tampering(responses={"token": Response("no", 500)})
    with pytest.raises(ProviderLoginError) as refused:
        await log_in(provider, hostile)
    assert refused.value.reason is ProviderLoginReason.UNAVAILABLE
    hostile.tampering = Tampering()
    hostile.requested_documents.clear()
    assert await log_in(provider, hostile) == "Dr Dora Demo"
    assert hostile.requested_documents == ["discovery", "token"], "the keys are still the same ones"


async def test_keys_that_moved_are_found_after_one_failure(provider: OpenIdClient, hostile: HostileProvider) -> None:
    await log_in(provider, hostile)
    hostile.jwks_name, hostile.key = "new-keys", ECKey.generate_key("P-256", parameters={"kid": "moved"})
    with pytest.raises(ProviderLoginError):
        await log_in(provider, hostile)
    assert await log_in(provider, hostile) == "Dr Dora Demo"
    assert hostile.requested_documents[-3:] == ["discovery", "token", "new-keys"]


async def test_a_new_key_at_the_old_place_is_found_at_once(provider: OpenIdClient, hostile: HostileProvider) -> None:
    await log_in(provider, hostile)
    hostile.key = ECKey.generate_key("P-256", parameters={"kid": "rotated"})
    assert await log_in(provider, hostile, NOW + 1) == "Dr Dora Demo"
    assert hostile.requested_documents == ["discovery", "token", "jwks", "token", "jwks"]


IN_THE_ID_TOKEN_ALONE = {"name": None, "fhirUser": None}


async def test_claims_that_the_id_token_lacks_are_asked_for(provider: OpenIdClient, hostile: HostileProvider) -> None:
    hostile.tampering = Tampering(
        claims=IN_THE_ID_TOKEN_ALONE, userinfo={"name": "Dr Dora Delta", "fhirUser": "Patient/pat-a"}
    )
    departure = await provider.start_login("a-request", LoginOptions(), NOW)
    hostile.callback_url(departure.location)
    signed_in = await provider.redeem_code("a-code", ExpectedResponse(departure.nonce, departure.verifier), NOW)
    assert (signed_in.user.name, signed_in.user.patient) == ("Dr Dora Delta", "pat-a")


async def test_what_the_id_token_says_counts_for_more(provider: OpenIdClient, hostile: HostileProvider) -> None:
    hostile.tampering = Tampering(claims={"fhirUser": None}, userinfo={"name": "Another", "fhirUser": "Patient/pat-a"})
    assert await log_in(provider, hostile) == "Dr Dora Demo"


UNUSABLE = {
    "of another user": (Tampering(userinfo={"sub": "otto"}), ProviderLoginReason.NOT_TRUSTED),
    "of nobody": (Tampering(userinfo={"sub": None}), ProviderLoginReason.NOT_TRUSTED),
    "as a page": (Tampering(responses={"userinfo": Response("<h1>")}), ProviderLoginReason.UNAVAILABLE),
    "as an error": (Tampering(responses={"userinfo": Response("no", 500)}), ProviderLoginReason.UNAVAILABLE),
    "never": (Tampering(responses={"userinfo": Response(status_code=401)}), ProviderLoginReason.UNAVAILABLE),
}


@pytest.mark.parametrize(("lies", "reason"), UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_nobody_signs_in_where_the_userinfo_comes(
    provider: OpenIdClient, hostile: HostileProvider, lies: Tampering, reason: ProviderLoginReason
) -> None:
    lies.claims = IN_THE_ID_TOKEN_ALONE
    hostile.tampering = lies
    with pytest.raises(ProviderLoginError) as refused:
        await log_in(provider, hostile)
    assert refused.value.reason is reason


async def test_without_a_userinfo_endpoint_the_id_token_is_all_there_is(
    provider: OpenIdClient, hostile: HostileProvider
) -> None:
    hostile.tampering = Tampering(claims=IN_THE_ID_TOKEN_ALONE, discovery={"userinfo_endpoint": None})
    assert await log_in(provider, hostile) == "dora"


PROOFS = {
    "by HTTP Basic where nothing is said": (None, False),
    "by HTTP Basic where both are known": (["client_secret_post", "client_secret_basic"], False),
    "in the form where that alone is known": (["client_secret_post"], True),
    "by HTTP Basic where neither is known": (["private_key_jwt"], False),
}


@pytest.mark.parametrize(("methods", "in_form"), PROOFS.values(), ids=PROOFS.keys())
async def test_the_secret_is_told(
    provider: OpenIdClient, hostile: HostileProvider, methods: list[str] | None, in_form: bool
) -> None:
    hostile.tampering = Tampering(discovery={"token_endpoint_auth_methods_supported": methods})
    await log_in(provider, hostile)
    assert (hostile.forms[-1].get("client_secret") == CLIENT_SECRET) == in_form


WISHES = {
    "nothing": (LoginOptions(), {}),
    "a name": (LoginOptions(hint="dora@example.org"), {"login_hint": "dora@example.org"}),
    "a new login": (LoginOptions(force_login=True), {"prompt": "login"}),
    "a recent login": (LoginOptions(max_age=60), {"max_age": "60"}),
    "both": (LoginOptions(force_login=True, max_age=60), {"prompt": "login", "max_age": "60"}),
}


@pytest.mark.parametrize(("wishes", "parameters"), WISHES.values(), ids=WISHES.keys())
async def test_the_wishes_of_an_app_are_passed_on(
    provider: OpenIdClient, hostile: HostileProvider, wishes: LoginOptions, parameters: dict[str, str]
) -> None:
    hostile.callback_url((await provider.start_login("a-request", wishes, NOW)).location)
    sent = {
        name: value for name, value in hostile.login_parameters.items() if name in {"prompt", "max_age", "login_hint"}
    }
    assert sent == parameters
