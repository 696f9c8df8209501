"""Lightweight tokens of Keycloak, which the gateway introspects, and how soon a logout takes effect."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from tests.keycloak.conftest import APP, LABORATORY, PASSWORD, SECRET, Clinic
from tests.keycloak.running_gateway import DocumentedGateway, run_documented_gateway
from tests.proxy.leaked_marks import is_refused
from tests.proxy.lenient_server import LenientServer
from tests.servers.keycloak.realm import JsonObject, TokenRequestError, claims

pytestmark = [pytest.mark.keycloak, pytest.mark.asyncio(loop_scope="module")]

LIGHT = "light"
Ending = Callable[[Clinic, JsonObject], Awaitable[None]]

NO_MEMORY = {"max_age_seconds": 1e-6, "refusals": 0}
"""A cache lifetime that ends before the next request."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clinic(clinic: Clinic) -> Clinic:
    """The realm with an app that has lightweight tokens."""
    await clinic.add_app(LIGHT, attributes={"client.use.lightweight.access.token.enabled": "true"})
    return clinic


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(
    clinic: Clinic, charts: LenientServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[DocumentedGateway]:
    """The documented gateway, which caches for half a minute."""
    folder, issuer = tmp_path_factory.mktemp("front"), clinic.realm.issuer
    async with run_documented_gateway(
        "introspecting-gateway", charts.base_url, folder, issuer=issuer, secret=SECRET
    ) as front:
        yield front


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forgetful(
    clinic: Clinic, charts: LenientServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[DocumentedGateway]:
    """The documented gateway without caching, so that tests need not wait."""
    folder, issuer = tmp_path_factory.mktemp("forgetful"), clinic.realm.issuer
    starting = run_documented_gateway(
        "introspecting-gateway", charts.base_url, folder, issuer=issuer, secret=SECRET, token_cache=NO_MEMORY
    )
    async with starting as front:
        yield front


async def test_a_lightweight_token_reads_its_patient_and_no_other(clinic: Clinic, front: DocumentedGateway) -> None:
    token = await clinic.access_token(app=LIGHT)
    assert not {"sub", "aud", "patient", "fhirUser"} & claims(token).keys()
    assert (await front.request("/Patient/pat-a", token)).json()["id"] == "pat-a"
    assert is_refused(await front.request("/Patient/pat-b", token), 404, "not_found")
    assert await front.observations(token) == {"pat-a-laboratory", "pat-a-vital-signs"}


async def test_a_granular_scope_of_a_lightweight_token_narrows(clinic: Clinic, front: DocumentedGateway) -> None:
    token = await clinic.access_token(f"launch/patient patient/Observation.rs?category={LABORATORY}", app=LIGHT)
    assert await front.observations(token) == {"pat-a-laboratory"}


async def test_a_whole_token_is_asked_about_as_well(clinic: Clinic, front: DocumentedGateway) -> None:
    assert (await front.request("/Patient/pat-a", await clinic.access_token())).status_code == 200


async def test_a_lightweight_token_of_a_user_without_a_patient_sees_nothing(
    clinic: Clinic, front: DocumentedGateway
) -> None:
    token = await clinic.access_token(user="otto", app=LIGHT)
    assert is_refused(await front.request("/Patient/pat-a", token), 403, "patient_context_missing")


@pytest.mark.parametrize("lightweight", ["false", "true"], ids=["a whole token", "a lightweight token"])
async def test_of_a_token_for_others_keycloak_says_nothing(
    clinic: Clinic, front: DocumentedGateway, lightweight: str
) -> None:
    app = f"for-others-{lightweight}"
    attributes = {"client.use.lightweight.access.token.enabled": lightweight}
    await clinic.add_app(app, defaultClientScopes=["basic"], attributes=attributes)
    token = await clinic.access_token(app=app)
    assert await clinic.realm.introspect(token, "smart-gateway", SECRET) == {"active": False}
    assert is_refused(await front.request("/Patient/pat-a", token), 401, "token_inactive")


@pytest.mark.parametrize("name", ["id_token", "refresh_token"])
async def test_another_token_of_the_same_answer_is_refused(clinic: Clinic, front: DocumentedGateway, name: str) -> None:
    answer = await front.request("/Patient/pat-a", (await clinic.tokens(app=LIGHT))[name])
    assert answer.status_code == 401


async def test_a_wrong_secret_is_our_trouble_and_not_the_apps(
    clinic: Clinic, charts: LenientServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, issuer = tmp_path_factory.mktemp("wrong"), clinic.realm.issuer
    async with run_documented_gateway(
        "introspecting-gateway", charts.base_url, folder, issuer=issuer, secret="wrong"
    ) as front:
        answer = await front.request("/Patient/pat-a", await clinic.access_token(app=LIGHT))
    assert is_refused(answer, 503, "token_check_unavailable")


async def log_out(clinic: Clinic, answer: JsonObject) -> None:
    await clinic.realm.log_out(LIGHT, answer["refresh_token"])


async def revoke(clinic: Clinic, answer: JsonObject) -> None:
    await clinic.realm.revoke(answer["access_token"], LIGHT)


async def end_sessions_as_administrator(clinic: Clinic, answer: JsonObject) -> None:
    await clinic.managed.end_sessions(clinic.ids["anna"])


@pytest.mark.parametrize(
    "end",
    [log_out, revoke, end_sessions_as_administrator],
    ids=["logged_out", "revoked", "signed_out_by_the_administrator"],
)
async def test_an_ended_token_serves_no_longer_than_it_is_remembered(
    clinic: Clinic, front: DocumentedGateway, forgetful: DocumentedGateway, end: Ending
) -> None:
    answer = await clinic.tokens(app=LIGHT)
    token = answer["access_token"]
    for gateway in (front, forgetful):
        assert (await gateway.request("/Patient/pat-a", token)).status_code == 200
    await end(clinic, answer)
    assert is_refused(await forgetful.request("/Patient/pat-a", token), 401, "token_inactive")
    assert (await front.request("/Patient/pat-a", token)).status_code == 200, "remembered, as long as it is configured"


async def test_a_token_of_a_disabled_user_ends(clinic: Clinic, forgetful: DocumentedGateway) -> None:
    user = await clinic.managed.add_user("nora", PASSWORD, patient="pat-a")
    token = await clinic.access_token(user="nora", app=LIGHT)
    assert (await forgetful.request("/Patient/pat-a", token)).status_code == 200
    await clinic.managed.change_user(user, enabled=False)
    assert is_refused(await forgetful.request("/Patient/pat-a", token), 401, "token_inactive")


async def test_another_patient_of_the_user_counts_from_the_next_question(
    clinic: Clinic, forgetful: DocumentedGateway
) -> None:
    """Introspection runs the mappers again, so its claims are newer than the token."""
    user = await clinic.managed.add_user("mila", PASSWORD, patient="pat-a")
    token = await clinic.access_token(user="mila", app=LIGHT)
    assert (await forgetful.request("/Patient/pat-a", token)).status_code == 200
    await clinic.managed.change_user(user, attributes={"patient": ["pat-b"]})
    assert is_refused(await forgetful.request("/Patient/pat-a", token), 404, "not_found")
    assert (await forgetful.request("/Patient/pat-b", token)).status_code == 200


async def test_a_token_by_refresh_is_accepted(clinic: Clinic, front: DocumentedGateway) -> None:
    first = await clinic.tokens(app=LIGHT)
    second = await clinic.realm.refresh_grant(LIGHT, first["refresh_token"])
    assert (await front.request("/Patient/pat-a", second["access_token"])).status_code == 200


async def test_a_logout_ends_the_refresh_token_but_no_offline_token(clinic: Clinic, front: DocumentedGateway) -> None:
    scope = "launch/patient patient/*.rs"
    session, offline = await clinic.tokens(scope), await clinic.tokens(f"{scope} offline_access")
    await clinic.realm.log_out(APP, session["refresh_token"])
    with pytest.raises(TokenRequestError, match="invalid_grant"):
        await clinic.realm.refresh_grant(APP, session["refresh_token"])
    second = await clinic.realm.refresh_grant(APP, offline["refresh_token"])
    assert (await front.request("/Patient/pat-a", second["access_token"])).status_code == 200


async def test_the_administrator_ends_offline_tokens_as_well(clinic: Clinic) -> None:
    """Keycloak compares whole seconds: a token of the very second of the sign-out survives it, until it is repeated."""
    user = await clinic.managed.add_user("olga", PASSWORD, patient="pat-a")
    offline = await clinic.tokens("launch/patient patient/*.rs offline_access", user="olga")

    async def is_refused_now() -> bool:
        await clinic.managed.end_sessions(user)
        try:
            await clinic.realm.refresh_grant(APP, offline["refresh_token"])
        except TokenRequestError as error:
            return "invalid_grant" in str(error)
        return False

    async with asyncio.timeout(10):
        while not await is_refused_now():
            pass
