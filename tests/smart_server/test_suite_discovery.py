"""The discovery requests of the public conformance suites (clients-and-suites.md 4.1)."""

import re

import pytest

from tests.smart_server.running_server import RunningServer
from tests.smart_server.suite_requests import LAUNCH

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

ORIGIN = "https://app.example"


class TestDiscovery:
    @pytest.mark.requirement("suite-D1")
    @pytest.mark.parametrize("accept", ["application/json", "application/fhir+json", "*/*", "text/html"])
    @pytest.mark.parametrize("slash", ["", "/"])
    async def test_d1(self, server: RunningServer, slash: str, accept: str) -> None:
        typed = server.base + slash
        url = f"{typed.removesuffix('/')}/.well-known/smart-configuration"
        response = await server.http.get(url, headers={"accept": accept})
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("application/json")
        assert isinstance(response.json(), dict)

    @pytest.mark.requirement("suite-D2")
    async def test_d2(self, server: RunningServer) -> None:
        document = (await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()
        for name in ("authorization_endpoint", "token_endpoint", "issuer", "jwks_uri"):
            assert re.match(r"https?://[^/]+/", document[name] + "/")
        assert all(isinstance(capability, str) for capability in document["capabilities"])
        assert {"authorization_code", "client_credentials"} <= set(document["grant_types_supported"])
        assert "S256" in document["code_challenge_methods_supported"]
        assert "plain" not in document["code_challenge_methods_supported"]
        assert "sso-openid-connect" in document["capabilities"]

    @pytest.mark.requirement("suite-D3")
    @pytest.mark.parametrize(
        "capabilities",
        [
            "launch-standalone client-public client-confidential-symmetric client-confidential-asymmetric "
            "sso-openid-connect context-standalone-patient permission-offline permission-patient authorize-post "
            "permission-v2 permission-v1",
            "launch-ehr client-confidential-symmetric client-confidential-asymmetric sso-openid-connect context-banner "
            "context-style context-ehr-patient context-ehr-encounter permission-offline permission-user authorize-post "
            "permission-v2 permission-v1",
        ],
        ids=["standalone", "EHR"],
    )
    async def test_d3(self, server: RunningServer, capabilities: str) -> None:
        document = (await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()
        assert set(capabilities.split()) <= set(document["capabilities"])

    @pytest.mark.requirement("suite-D4")
    async def test_d4(self, server: RunningServer) -> None:
        app = server.app()
        code = await server.request_code(app, f"{LAUNCH} patient/*.rs")
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": app.redirect_uri,
                "client_id": app.client_id, "code_verifier": app.verifier}  # fmt: skip
        headers = {"origin": ORIGIN}
        token = await server.http.post(f"{server.issuer}/token", data=form, headers=headers)
        bearer = {**headers, "authorization": f"Bearer {token.json()['access_token']}"}
        answers = [
            await server.http.get(f"{server.base}/.well-known/smart-configuration", headers=headers),
            await server.http.get(f"{server.base}/metadata", headers=headers),
            token,
            await server.http.get(f"{server.base}/Practitioner/practitioner-1", headers=bearer),
        ]
        for response in answers:
            assert response.status_code == 200
            assert response.headers["access-control-allow-origin"] in {ORIGIN, "*"}

    @pytest.mark.requirement("suite-D5")
    async def test_d5(self, server: RunningServer) -> None:
        document = (await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()
        response = await server.http.get(f"{server.base}/metadata", headers={"accept": "application/fhir+json"})
        assert response.status_code == 200
        security = response.json()["rest"][0]["security"]
        codes = {coding["code"] for service in security["service"] for coding in service["coding"]}
        assert "SMART-on-FHIR" in codes
        (extension,) = [
            item for item in security["extension"] if item["url"].endswith("/StructureDefinition/oauth-uris")
        ]
        uris = {item["url"]: item["valueUri"] for item in extension["extension"]}
        names = {"authorize": "authorization_endpoint", "token": "token_endpoint", "manage": "management_endpoint",
                 "introspect": "introspection_endpoint", "revoke": "revocation_endpoint",
                 "register": "registration_endpoint"}  # fmt: skip
        assert uris == {uri_name: document[name] for uri_name, name in names.items() if name in document}

    @pytest.mark.requirement("suite-D6")
    async def test_d6(self, server: RunningServer) -> None:
        openid = (await server.http.get(f"{server.issuer}/.well-known/openid-configuration")).json()
        assert openid["issuer"] == server.issuer
        keys = (await server.http.get(openid["jwks_uri"])).json()["keys"]
        assert all(key["kid"] for key in keys)
