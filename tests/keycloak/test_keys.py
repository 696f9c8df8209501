"""Key rotation of the realm, without a restart of the gateway."""

from pathlib import Path

import pytest

from tests.keycloak.conftest import Clinic
from tests.keycloak.running_gateway import run_documented_gateway
from tests.proxy.leaked_marks import is_refused
from tests.proxy.lenient_server import LenientServer
from tests.servers.keycloak.realm import header

pytestmark = [pytest.mark.keycloak, pytest.mark.asyncio(loop_scope="module")]


async def test_a_key_for_encryption_in_the_jwks_is_left_out(
    clinic: Clinic, charts: LenientServer, tmp_path: Path
) -> None:
    uses = {(key["use"], key["alg"]) for key in await clinic.realm.keys()}
    assert uses == {("sig", "RS256"), ("enc", "RSA-OAEP")}
    async with run_documented_gateway("gateway", charts.base_url, tmp_path, issuer=clinic.realm.issuer) as front:
        assert (await front.request("/Patient/pat-a", await clinic.access_token())).status_code == 200


async def test_a_new_key_signs_at_once_and_the_old_one_serves_on(
    clinic: Clinic, charts: LenientServer, tmp_path: Path
) -> None:
    async with run_documented_gateway("gateway", charts.base_url, tmp_path, issuer=clinic.realm.issuer) as front:
        old, unseen = await clinic.access_token(), await clinic.access_token()
        assert (await front.request("/Patient/pat-a", old)).status_code == 200, "the gateway holds the old keys now"
        kid = await clinic.managed.rotate_signing_key()
        new = await clinic.access_token()
        assert (header(new)["kid"], header(old)["kid"] == kid) == (kid, False)
        assert (await front.request("/Patient/pat-a", new)).status_code == 200
        assert (await front.request("/Patient/pat-a", unseen)).status_code == 200, "signed before, first seen after"


async def test_a_new_key_of_another_algorithm_is_followed(
    clinic: Clinic, charts: LenientServer, tmp_path: Path
) -> None:
    async with run_documented_gateway("gateway", charts.base_url, tmp_path, issuer=clinic.realm.issuer) as front:
        assert (await front.request("/Patient/pat-a", await clinic.access_token())).status_code == 200
        kid = await clinic.managed.add_elliptic_key()
        await clinic.add_app("elliptic", attributes={"access.token.signed.response.alg": "ES256"})
        token = await clinic.access_token(app="elliptic")
        assert (header(token)["alg"], header(token)["kid"]) == ("ES256", kid)
        assert (await front.request("/Patient/pat-a", token)).status_code == 200


async def test_an_algorithm_that_is_not_on_the_list_is_refused(
    clinic: Clinic, charts: LenientServer, tmp_path: Path
) -> None:
    await clinic.managed.rotate_signing_key("PS256")
    await clinic.add_app("padded", attributes={"access.token.signed.response.alg": "PS256"})
    token = await clinic.access_token(app="padded")
    assert header(token)["alg"] == "PS256"
    async with run_documented_gateway("gateway", charts.base_url, tmp_path, issuer=clinic.realm.issuer) as front:
        assert is_refused(await front.request("/Patient/pat-a", token), 401, "token_algorithm_refused")


async def test_a_disabled_key_is_published_no_longer(clinic: Clinic, charts: LenientServer, tmp_path: Path) -> None:
    token = await clinic.access_token()
    await clinic.managed.rotate_signing_key()
    await clinic.managed.disable_key(header(token)["kid"])
    async with run_documented_gateway("gateway", charts.base_url, tmp_path, issuer=clinic.realm.issuer) as front:
        assert is_refused(await front.request("/Patient/pat-a", token), 401, "token_key_unknown")
        assert (await front.request("/Patient/pat-a", await clinic.access_token())).status_code == 200
