"""Python clients complete launch, read, search with paging, and refresh."""

import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign  # type: ignore[import-untyped]

from tests.clients.old_fhirclient import python_with_old_fhirclient
from tests.clients.python_scripts import run_script
from tests.clients.running_server import SCOPE
from tests.servers.process import NotAvailable
from tests.smart_server.running_server import ASYMMETRIC_KEY, CALLBACK, SECRET, RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

RECORDS = "openid fhirUser offline_access patient/Patient.rs patient/Observation.rs"


@pytest.fixture(scope="module")
def old_python() -> str:
    """A Python with fhirclient 4.3.1."""
    try:
        return python_with_old_fhirclient()
    except NotAvailable as why:
        pytest.skip(str(why))


async def step(python: str, message: dict[str, Any]) -> Any:
    """One request of the browser to a web app that uses fhirclient."""
    return await run_script(python, "apps/python_fhirclient.py", message)


async def walk(
    server: RunningServer, python: str, settings: dict[str, Any], *, refresh: bool = True
) -> tuple[str, Any]:
    """The authorization URL, and the result of the app after the callback."""
    settings = {"api_base": server.base, "redirect_uri": CALLBACK, **settings}
    sent = await step(python, {"step": "launch", "settings": settings})
    assert sent["ready"] is False, "a server whose statement names no endpoints is taken for an open one"
    person = server.person()
    page = await person.sign_in(await person.open(sent["url"]))
    page = await person.agree(await person.choose_patient(page, "pat-a"))
    assert "code" in page.parameters, page.parameters
    returned = {"step": "callback", "state": sent["state"], "url": page.left_for, "refresh": refresh}
    return sent["url"], await step(python, returned)


@pytest.mark.requirement("suite-D5", "RF-1")
@pytest.mark.parametrize("secret", [None, SECRET], ids=["a public app", "an app with a secret"])
async def test_fhirclient_of_pypi(server: RunningServer, secret: str | None) -> None:
    settings = {"app_id": "py-symmetric" if secret else "public-app", "app_secret": secret, "scope": RECORDS}
    url, result = await walk(server, sys.executable, settings)
    assert parse_qs(urlsplit(url).query)["code_challenge_method"] == ["S256"]
    assert len(set(result.pop("found"))) == 17
    assert set(result.pop("scope").split()) == set(SCOPE.split())
    assert result == {"patient": "pat-a", "again": "pat-a", "renewed": True}


async def test_fhirclient_of_pypi_with_the_scopes_it_asks_for_by_itself(server: RunningServer) -> None:
    _, result = await walk(server, sys.executable, {"app_id": "public-app"}, refresh=False)
    assert result["patient"] == "pat-a"
    assert {"launch/patient", "patient/*.read"} <= set(result["scope"].split())
    assert result["found"]


async def test_fhirclient_of_pypi_before_pkce(server: RunningServer, old_python: str) -> None:
    settings = {"app_id": "old-app", "app_secret": SECRET, "scope": RECORDS}
    url, result = await walk(server, old_python, settings)
    assert "code_challenge" not in parse_qs(urlsplit(url).query)
    assert len(set(result.pop("found"))) == 17
    assert set(result.pop("scope").split()) == set(SCOPE.split())
    assert result == {"patient": "pat-a", "again": "pat-a", "renewed": True}


class FiveMinutes(PrivateKeyJWT):  # type: ignore[misc]
    """Authlib's assertions last an hour by themselves; SMART allows five minutes."""

    def sign(self, auth: Any, token_endpoint: str) -> Any:
        header, name = {"kid": "app-1"}, auth.client_id
        return private_key_jwt_sign(auth.client_secret, name, token_endpoint, "ES384", header=header, expires_in=300)


@pytest.mark.parametrize("client_id", ["public-app", "py-symmetric", "asymmetric-app"])
async def test_authlib(server: RunningServer, client_id: str) -> None:
    published = (await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()
    options: dict[str, Any] = {"token_endpoint_auth_method": "none"}
    if client_id == "py-symmetric":
        options = {"client_secret": SECRET}
    if client_id == "asymmetric-app":
        options = {"client_secret": ASYMMETRIC_KEY, "token_endpoint_auth_method": "private_key_jwt"}
    client = AsyncOAuth2Client(
        client_id, scope=SCOPE, redirect_uri=CALLBACK, code_challenge_method="S256",
        token_endpoint=published["token_endpoint"], trust_env=False, **options,
    )  # fmt: skip
    client.register_client_auth_method(FiveMinutes(published["token_endpoint"]))
    async with client:
        verifier = "a-verifier-of-at-least-forty-three-characters"
        endpoint = published["authorization_endpoint"]
        url, state = client.create_authorization_url(endpoint, code_verifier=verifier, aud=server.base)
        person = server.person()
        page = await person.sign_in(await person.open(url))
        page = await person.agree(await person.choose_patient(page, "pat-a"))
        first = dict(
            await client.fetch_token(authorization_response=page.left_for, state=state, code_verifier=verifier)
        )
        assert (await client.get(f"{server.base}/Patient/{first['patient']}")).json()["id"] == "pat-a"
        # The client refreshes a token that it considers expired.
        client.token["expires_at"] = 1
        bundle = (await client.get(f"{server.base}/Observation?_count=10")).json()
        following = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
        bundles = [bundle, (await client.get(following)).json()]
        assert len({entry["resource"]["id"] for page in bundles for entry in page["entry"]}) == 17
        assert client.token["access_token"] != first["access_token"]
