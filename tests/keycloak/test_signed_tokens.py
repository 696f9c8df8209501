"""Signed tokens of Keycloak at the gateway of docs/keycloak.md: their access, and refused ones."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.keycloak.conftest import APP, LABORATORY, SECRET, Clinic
from tests.keycloak.keycloak_document import AUDIENCE, read_json_block
from tests.keycloak.running_gateway import DocumentedGateway, run_documented_gateway
from tests.proxy.leaked_marks import is_refused
from tests.proxy.lenient_server import LenientServer
from tests.servers.keycloak.realm import TokenRequestError, claims, header

pytestmark = [pytest.mark.keycloak, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(
    clinic: Clinic, charts: LenientServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[DocumentedGateway]:
    folder = tmp_path_factory.mktemp("front")
    async with run_documented_gateway("gateway", charts.base_url, folder, issuer=clinic.realm.issuer) as front:
        yield front


async def test_a_patient_reads_her_own_chart_and_no_other(clinic: Clinic, front: DocumentedGateway) -> None:
    token = await clinic.access_token()
    assert (await front.request("/Patient/pat-a", token)).json()["id"] == "pat-a"
    assert is_refused(await front.request("/Patient/pat-b", token), 404, "not_found")
    assert await front.observations(token) == {"pat-a-laboratory", "pat-a-vital-signs"}


async def test_a_granular_scope_narrows(clinic: Clinic, front: DocumentedGateway) -> None:
    scope = f"patient/Observation.rs?category={LABORATORY}"
    token = await clinic.access_token(f"launch/patient {scope}")
    assert scope in claims(token)["scope"].split(), "Keycloak says it verbatim"
    assert await front.observations(token) == {"pat-a-laboratory"}
    assert is_refused(await front.request("/Observation/pat-a-vital-signs", token), 404, "not_found")
    assert is_refused(await front.request("/Patient/pat-a", token), 403, "scope_insufficient")


async def test_a_practitioner_reads_as_the_user_that_he_is(clinic: Clinic, front: DocumentedGateway) -> None:
    token = await clinic.access_token("fhirUser user/*.rs", "otto")
    assert {"pat-a-laboratory", "pat-b-laboratory"} <= await front.observations(token)


async def test_a_backend_service_reads_as_the_system(clinic: Clinic, front: DocumentedGateway) -> None:
    await clinic.managed.add_client({**read_json_block("service"), "secret": SECRET})
    answer = await clinic.realm.client_credentials_grant(read_json_block("service")["clientId"], SECRET, "system/*.rs")
    assert {"pat-a-laboratory", "pat-b-laboratory"} <= await front.observations(answer["access_token"])


async def test_a_user_without_a_patient_sees_nothing_by_patient_scopes(
    clinic: Clinic, front: DocumentedGateway
) -> None:
    token = await clinic.access_token(user="otto")
    assert "launch/patient" in claims(token)["scope"].split(), "Keycloak grants it although there is no patient"
    for path in ("/Patient/pat-a", "/Observation"):
        assert is_refused(await front.request(path, token), 403, "patient_context_missing")


async def test_an_app_that_did_not_ask_for_the_launch_context_has_none(
    clinic: Clinic, front: DocumentedGateway
) -> None:
    token = await clinic.access_token("patient/*.rs")
    assert is_refused(await front.request("/Patient/pat-a", token), 403, "patient_context_missing")


async def test_a_user_whom_no_claim_names_reaches_nothing_by_user_scopes(
    clinic: Clinic, front: DocumentedGateway
) -> None:
    token = await clinic.access_token("user/*.rs", "otto")
    assert "fhirUser" not in claims(token)
    assert is_refused(await front.request("/Patient/pat-a", token), 403, "user_reach_unknown")


async def test_a_signed_token_outlives_the_logout(clinic: Clinic, front: DocumentedGateway) -> None:
    """Revocation is not visible without introspection."""
    answer = await clinic.tokens()
    await clinic.realm.log_out(APP, answer["refresh_token"])
    assert (await front.request("/Patient/pat-a", answer["access_token"])).status_code == 200


async def test_one_scope_that_is_not_assigned_fails_the_whole_request(clinic: Clinic) -> None:
    with pytest.raises(TokenRequestError, match="invalid_scope"):
        await clinic.access_token("launch/patient patient/*.rs patient/*.cruds")


async def test_a_token_without_an_audience_is_refused(clinic: Clinic, front: DocumentedGateway) -> None:
    await clinic.add_app("no-audience", defaultClientScopes=["basic"])
    token = await clinic.access_token(app="no-audience")
    assert "aud" not in claims(token)
    assert is_refused(await front.request("/Patient/pat-a", token), 401, "token_audience_wrong")


async def test_a_token_for_the_account_console_alone_is_refused(clinic: Clinic, front: DocumentedGateway) -> None:
    await clinic.add_app("account-audience", defaultClientScopes=["basic", "roles"])
    token = await clinic.access_token(app="account-audience")
    assert claims(token)["aud"] == "account"
    assert is_refused(await front.request("/Patient/pat-a", token), 401, "token_audience_wrong")


async def test_a_lightweight_token_needs_introspection(clinic: Clinic, front: DocumentedGateway) -> None:
    await clinic.add_app("light", attributes={"client.use.lightweight.access.token.enabled": "true"})
    token = await clinic.access_token(app="light")
    assert not {"sub", "aud", "patient"} & claims(token).keys()
    assert is_refused(await front.request("/Patient/pat-a", token), 401, "token_audience_wrong")


async def test_a_token_typed_as_an_access_token_in_its_header_is_accepted(
    clinic: Clinic, front: DocumentedGateway
) -> None:
    await clinic.add_app("rfc-9068", attributes={"access.token.header.type.rfc9068": "true"})
    token = await clinic.access_token(app="rfc-9068")
    assert header(token)["typ"] == "at+jwt"
    assert (await front.request("/Patient/pat-a", token)).status_code == 200


@pytest.mark.parametrize(
    ("name", "scope", "kind", "reason"),
    [
        ("id_token", "", ("RS256", "JWT", "ID"), "token_not_an_access_token"),
        ("refresh_token", "", ("HS512", "JWT", "Refresh"), "token_algorithm_refused"),
        ("refresh_token", "offline_access", ("HS512", "JWT", "Offline"), "token_algorithm_refused"),
    ],
    ids=["an ID token", "a refresh token", "an offline token"],
)
async def test_another_token_of_the_same_answer_is_refused(
    clinic: Clinic, front: DocumentedGateway, name: str, scope: str, kind: tuple[str, str, str], reason: str
) -> None:
    token = (await clinic.tokens(f"launch/patient patient/*.rs {scope}"))[name]
    assert (header(token)["alg"], header(token)["typ"], claims(token)["typ"]) == kind
    assert is_refused(await front.request("/Patient/pat-a", token), 401, reason)


async def test_an_id_token_for_our_own_audience_is_refused_all_the_same(
    clinic: Clinic, front: DocumentedGateway
) -> None:
    """An audience mapper with "Add to ID token" enabled by mistake."""
    scope = await clinic.managed.add_client_scope(audience_in_id_tokens())
    await clinic.add_app("audience-everywhere")
    await clinic.managed.request("PUT", f"/clients/{clinic.ids['audience-everywhere']}/default-client-scopes/{scope}")
    token = (await clinic.tokens(app="audience-everywhere"))["id_token"]
    assert AUDIENCE in claims(token)["aud"]
    assert is_refused(await front.request("/Patient/pat-a", token), 401, "token_not_an_access_token")


def audience_in_id_tokens() -> dict[str, Any]:
    """The documented audience scope, with a likely mistake."""
    [scope] = [scope for scope in read_json_block("client-scopes") if scope["name"] == "fhir-gateway"]
    [mapper] = scope["protocolMappers"]
    config = {**mapper["config"], "id.token.claim": "true"}
    return {**scope, "name": "audience-everywhere", "protocolMappers": [{**mapper, "config": config}]}


@pytest.mark.parametrize(
    "misspelt",
    [
        pytest.param(lambda issuer: f"{issuer}/", id="a slash at the end"),
        pytest.param(lambda issuer: issuer.replace("127.0.0.1", "localhost"), id="localhost for 127.0.0.1"),
    ],
)
async def test_the_issuer_is_compared_letter_by_letter(
    clinic: Clinic, charts: LenientServer, tmp_path: Path, misspelt: Callable[[str], str]
) -> None:
    issuer = misspelt(clinic.realm.issuer)
    async with run_documented_gateway("gateway", charts.base_url, tmp_path, issuer=issuer) as front:
        answer = await front.request("/Patient/pat-a", await clinic.access_token())
    assert is_refused(answer, 401, "token_issuer_unknown")
