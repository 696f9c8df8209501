"""The FHIR base URL and the issuer: where they may be on a host, and that they need https."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings.model import Settings
from tests.servers.ports import free_port
from tests.smart_server.running_server import LAUNCHER_SECRET, RunningServer, run_smart_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

WELL_KNOWN = "/.well-known/smart-configuration"


async def smart_configuration(server: RunningServer) -> dict[str, Any]:
    """The smart-configuration document."""
    return dict((await server.http.get(f"{server.base}{WELL_KNOWN}")).json())


# Where the FHIR base and the issuer lie on the host.
PLACES = {
    "the issuer is the host itself": ("/fhir", ""),
    "the FHIR base is the host itself": ("", "/auth"),
    "the issuer lies below the FHIR base": ("/fhir", "/fhir/auth"),
    "the FHIR base lies below the issuer": ("/smart/fhir", "/smart"),
}


@pytest.mark.requirement("D-1", "D-3", "D-23")
@pytest.mark.parametrize(("base", "issuer"), PLACES.values(), ids=PLACES)
async def test_wherever_they_lie_neither_half_hides_the_other(fhir_server: str, base: str, issuer: str) -> None:
    """Health checks and vendor launches work too."""
    port = free_port()
    root = f"http://127.0.0.1:{port}"

    def change(settings: dict[str, Any]) -> None:
        settings["public_base_url"] = root + base
        settings["smart_server"]["issuer"] = root + issuer

    async with run_smart_server(fhir_server, change=change, port=port) as running:
        server = replace(running, base=root + base, issuer=root + issuer)
        document = await smart_configuration(server)
        assert (document["issuer"], document["token_endpoint"]) == (server.issuer, f"{server.issuer}/token")
        response = await server.http.get(f"{server.issuer}/.well-known/openid-configuration")
        assert response.json()["issuer"] == server.issuer
        answer = await server.request_tokens(server.app(), "patient/Patient.r")
        assert (await server.app().read("/Patient/pat-a", answer["access_token"])).status_code == 200
        assert (await server.http.get(f"{server.base}/Patient/pat-a")).status_code == 401
        assert (await server.http.get(f"{root}/healthz")).text == "alive\n"
        assert "error" in (await server.http.post(f"{root}/rpc", json={}, auth=("ehr", LAUNCHER_SECRET))).json()
        door = f"{server.base}/ClientApplication/public-app/$smart-launch?patient=pat-a"
        assert (await server.http.get(door, auth=("ehr", LAUNCHER_SECRET))).status_code == 302


async def test_one_place_for_both_halves_is_refused_at_start() -> None:
    members = {"public_base_url": "https://fhir.example", "upstream": {"base_url": "http://fhir.internal/fhir"}}
    with pytest.raises(ValidationError, match="another path"):
        Settings.model_validate({**members, "smart_server": {"issuer": "https://login.example"}})


IN_THE_CLEAR = {
    "the FHIR base": {"public_base_url": "http://fhir.example/r4"},
    "the issuer": {"smart_server": {"issuer": "http://login.example"}},
    "a client's keys": {
        "smart_server": {
            "clients": [{"client_id": "a", "name": "A", "type": "confidential-asymmetric", "scopes": "system/*.rs",
                         "grant_types": ["client_credentials"], "jwks_uri": "http://a.example/jwks"}]
        }
    },
}  # fmt: skip


@pytest.mark.requirement("G-1", "BS-14", "R-8")
@pytest.mark.parametrize("settings", IN_THE_CLEAR.values(), ids=IN_THE_CLEAR)
async def test_an_address_in_the_clear_is_refused_at_start(settings: dict[str, Any]) -> None:
    members = {"public_base_url": "https://fhir.example/r4", "upstream": {"base_url": "http://fhir.internal/fhir"}}
    with pytest.raises(ValidationError, match="https"):
        Settings.model_validate({**members, **settings})
