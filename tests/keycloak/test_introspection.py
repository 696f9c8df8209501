"""Lightweight tokens: the gateway of docs/keycloak.md asks Keycloak about each, and how soon a logout counts."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from tests.gateway.lenient import Lenient
from tests.gateway.marks import refused
from tests.keycloak.conftest import APP, LABORATORY, PASSWORD, SECRET, Clinic
from tests.keycloak.front import Front, fronting
from tests.servers.keycloak.realm import Answer, Unanswered, claims

pytestmark = [pytest.mark.keycloak, pytest.mark.asyncio(loop_scope="module")]

LIGHT = "light"
Ending = Callable[[Clinic, Answer], Awaitable[None]]

NO_MEMORY = {"max_age_seconds": 1e-6, "refusals": 0}
"""A cache whose life is over before the next request comes."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def clinic(clinic: Clinic) -> Clinic:
    """The clinic with an app whose tokens are lightweight."""
    await clinic.add_app(LIGHT, attributes={"client.use.lightweight.access.token.enabled": "true"})
    return clinic


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(clinic: Clinic, charts: Lenient, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    """As printed: it remembers for half a minute."""
    folder, issuer = tmp_path_factory.mktemp("front"), clinic.realm.issuer
    async with fronting("introspecting-gateway", charts.base_url, folder, issuer=issuer, secret=SECRET) as front:
        yield front


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forgetful(clinic: Clinic, charts: Lenient, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    """The same with a cache that forgets at once, so that no test has to wait."""
    folder, issuer = tmp_path_factory.mktemp("forgetful"), clinic.realm.issuer
    starting = fronting(
        "introspecting-gateway", charts.base_url, folder, issuer=issuer, secret=SECRET, token_cache=NO_MEMORY
    )
    async with starting as front:
        yield front


async def test_a_lightweight_token_reads_its_patient_and_no_other(clinic: Clinic, front: Front) -> None:
    token = await clinic.access_token(app=LIGHT)
    assert not {"sub", "aud", "patient", "fhirUser"} & claims(token).keys()
    assert (await front.ask("/Patient/pat-a", token)).json()["id"] == "pat-a"
    assert refused(await front.ask("/Patient/pat-b", token), 404, "not_found")
    assert await front.observations(token) == {"pat-a-laboratory", "pat-a-vital-signs"}


async def test_a_granular_scope_of_a_lightweight_token_narrows(clinic: Clinic, front: Front) -> None:
    token = await clinic.access_token(f"launch/patient patient/Observation.rs?category={LABORATORY}", app=LIGHT)
    assert await front.observations(token) == {"pat-a-laboratory"}


async def test_a_whole_token_is_asked_about_as_well(clinic: Clinic, front: Front) -> None:
    assert (await front.ask("/Patient/pat-a", await clinic.access_token())).status_code == 200


async def test_a_lightweight_token_of_a_user_without_a_patient_sees_nothing(clinic: Clinic, front: Front) -> None:
    token = await clinic.access_token(user="otto", app=LIGHT)
    assert refused(await front.ask("/Patient/pat-a", token), 403, "patient_context_missing")


@pytest.mark.parametrize("lightweight", ["false", "true"], ids=["a whole token", "a lightweight token"])
async def test_of_a_token_for_others_keycloak_says_nothing(clinic: Clinic, front: Front, lightweight: str) -> None:
    app = f"for-others-{lightweight}"
    attributes = {"client.use.lightweight.access.token.enabled": lightweight}
    await clinic.add_app(app, defaultClientScopes=["basic"], attributes=attributes)
    token = await clinic.access_token(app=app)
    assert await clinic.realm.introspect(token, "smart-gateway", SECRET) == {"active": False}
    assert refused(await front.ask("/Patient/pat-a", token), 401, "token_inactive")


@pytest.mark.parametrize("name", ["id_token", "refresh_token"])
async def test_another_token_of_the_same_answer_is_refused(clinic: Clinic, front: Front, name: str) -> None:
    answer = await front.ask("/Patient/pat-a", (await clinic.tokens(app=LIGHT))[name])
    assert answer.status_code == 401


async def test_a_wrong_secret_is_our_trouble_and_not_the_apps(
    clinic: Clinic, charts: Lenient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, issuer = tmp_path_factory.mktemp("wrong"), clinic.realm.issuer
    async with fronting("introspecting-gateway", charts.base_url, folder, issuer=issuer, secret="wrong") as front:
        answer = await front.ask("/Patient/pat-a", await clinic.access_token(app=LIGHT))
    assert refused(answer, 503, "token_check_unavailable")


async def logged_out(clinic: Clinic, answer: Answer) -> None:
    await clinic.realm.log_out(LIGHT, answer["refresh_token"])


async def revoked(clinic: Clinic, answer: Answer) -> None:
    await clinic.realm.revoke(answer["access_token"], LIGHT)


async def signed_out_by_the_administrator(clinic: Clinic, answer: Answer) -> None:
    await clinic.managed.end_sessions(clinic.ids["anna"])


@pytest.mark.parametrize("end", [logged_out, revoked, signed_out_by_the_administrator])
async def test_an_ended_token_serves_no_longer_than_it_is_remembered(
    clinic: Clinic, front: Front, forgetful: Front, end: Ending
) -> None:
    answer = await clinic.tokens(app=LIGHT)
    token = answer["access_token"]
    for gateway in (front, forgetful):
        assert (await gateway.ask("/Patient/pat-a", token)).status_code == 200
    await end(clinic, answer)
    assert refused(await forgetful.ask("/Patient/pat-a", token), 401, "token_inactive")
    assert (await front.ask("/Patient/pat-a", token)).status_code == 200, "remembered, as long as it is configured"


async def test_a_token_of_a_disabled_user_ends(clinic: Clinic, forgetful: Front) -> None:
    user = await clinic.managed.add_user("nora", PASSWORD, patient="pat-a")
    token = await clinic.access_token(user="nora", app=LIGHT)
    assert (await forgetful.ask("/Patient/pat-a", token)).status_code == 200
    await clinic.managed.change_user(user, enabled=False)
    assert refused(await forgetful.ask("/Patient/pat-a", token), 401, "token_inactive")


async def test_another_patient_of_the_user_counts_from_the_next_question(clinic: Clinic, forgetful: Front) -> None:
    """Introspection runs the mappers again: what it says is newer than the token."""
    user = await clinic.managed.add_user("mila", PASSWORD, patient="pat-a")
    token = await clinic.access_token(user="mila", app=LIGHT)
    assert (await forgetful.ask("/Patient/pat-a", token)).status_code == 200
    await clinic.managed.change_user(user, attributes={"patient": ["pat-b"]})
    assert refused(await forgetful.ask("/Patient/pat-a", token), 404, "not_found")
    assert (await forgetful.ask("/Patient/pat-b", token)).status_code == 200


async def test_a_token_by_refresh_is_accepted(clinic: Clinic, front: Front) -> None:
    first = await clinic.tokens(app=LIGHT)
    second = await clinic.realm.by_refresh(LIGHT, first["refresh_token"])
    assert (await front.ask("/Patient/pat-a", second["access_token"])).status_code == 200


async def test_a_logout_ends_the_refresh_token_but_no_offline_token(clinic: Clinic, front: Front) -> None:
    scope = "launch/patient patient/*.rs"
    session, offline = await clinic.tokens(scope), await clinic.tokens(f"{scope} offline_access")
    await clinic.managed.end_sessions(clinic.ids["anna"])
    with pytest.raises(Unanswered, match="invalid_grant"):
        await clinic.realm.by_refresh(APP, session["refresh_token"])
    again = await clinic.realm.by_refresh(APP, offline["refresh_token"])
    assert (await front.ask("/Patient/pat-a", again["access_token"])).status_code == 200
