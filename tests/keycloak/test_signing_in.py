"""The helper that signs in on Keycloak's pages, as other tests use it."""

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
import pytest_asyncio

from gateway.asgi.types import Receive, Scope, Send
from tests.keycloak.conftest import APP, PASSWORD, REDIRECT_URI, SECRET, Clinic
from tests.proxy.running_gateway import serve_on
from tests.servers.keycloak.realm import TokenRequestError, claims
from tests.servers.keycloak.signing_in import SignInError, browser, sign_in
from tests.servers.ports import free_port

pytestmark = [pytest.mark.keycloak, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with browser() as client:
        yield client


def build_authorization_url(clinic: Clinic, **changes: str) -> str:
    parameters = {
        "response_type": "code",
        "client_id": APP,
        "redirect_uri": REDIRECT_URI,
        "scope": "openid",
        "state": "a state",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        **changes,
    }
    return f"{clinic.realm.endpoint('auth')}?{urlencode(parameters)}"


def callback_parameters(callback: str) -> dict[str, str]:
    assert callback.partition("?")[0] == REDIRECT_URI
    return {name: values[0] for name, values in parse_qs(urlsplit(callback).query).items()}


async def test_it_leads_to_the_callback_with_a_code(clinic: Clinic, client: httpx2.AsyncClient) -> None:
    answer = callback_parameters(await sign_in(client, build_authorization_url(clinic), "anna", PASSWORD))
    assert answer["state"] == "a state"
    assert answer["iss"] == clinic.realm.issuer
    assert answer["code"]


async def test_in_the_same_session_nobody_is_asked_again(clinic: Clinic, client: httpx2.AsyncClient) -> None:
    await sign_in(client, build_authorization_url(clinic), "anna", PASSWORD)
    assert callback_parameters(
        await sign_in(client, build_authorization_url(clinic, prompt="none"), "anna", "not even looked at")
    )["code"]


async def test_who_must_sign_in_again_is_asked_for_the_password(clinic: Clinic, client: httpx2.AsyncClient) -> None:
    await sign_in(client, build_authorization_url(clinic), "anna", PASSWORD)
    with pytest.raises(SignInError, match="Invalid"):
        await sign_in(client, build_authorization_url(clinic, prompt="login"), "anna", "wrong")
    assert callback_parameters(
        await sign_in(client, build_authorization_url(clinic, prompt="login"), "anna", PASSWORD)
    )["code"]


async def test_another_browser_knows_nothing_of_the_session(clinic: Clinic, client: httpx2.AsyncClient) -> None:
    answer = callback_parameters(
        await sign_in(client, build_authorization_url(clinic, prompt="none"), "anna", PASSWORD)
    )
    assert answer["error"] == "login_required"


async def test_a_wrong_password_says_so(clinic: Clinic, client: httpx2.AsyncClient) -> None:
    with pytest.raises(SignInError, match="Invalid username or password"):
        await sign_in(client, build_authorization_url(clinic), "anna", "wrong")


async def test_a_page_of_error_says_what_it_says(clinic: Clinic, client: httpx2.AsyncClient) -> None:
    with pytest.raises(SignInError, match=r"answered 400: .*redirect_uri"):
        await sign_in(
            client, build_authorization_url(clinic, redirect_uri="https://elsewhere.example/callback"), "anna", PASSWORD
        )


async def test_a_request_that_is_refused_by_a_redirect_comes_back(clinic: Clinic, client: httpx2.AsyncClient) -> None:
    answer = callback_parameters(
        await sign_in(client, build_authorization_url(clinic, scope="openid unheard-of"), "anna", PASSWORD)
    )
    assert answer["error"] == "invalid_scope"


@pytest.mark.parametrize("consent", [True, False], ids=["given", "refused"])
async def test_consent_is_asked_for_and(clinic: Clinic, client: httpx2.AsyncClient, consent: bool) -> None:
    app = f"asks-{consent}"
    await clinic.add_app(app, consentRequired=True)
    callback = await sign_in(client, build_authorization_url(clinic, client_id=app), "anna", PASSWORD, consent=consent)
    assert callback_parameters(callback).get("error") == (None if consent else "access_denied")


async def test_a_page_that_asks_for_more_is_named(clinic: Clinic, client: httpx2.AsyncClient) -> None:
    user = await clinic.managed.add_user("new", PASSWORD)
    await clinic.managed.change_user(user, requiredActions=["UPDATE_PASSWORD"])
    with pytest.raises(SignInError, match="update-password"):
        await sign_in(client, build_authorization_url(clinic), "new", PASSWORD)


async def test_it_starts_at_a_page_that_leads_to_keycloak(clinic: Clinic, client: httpx2.AsyncClient) -> None:
    """As with another relying party, whose page redirects to Keycloak and whose callback has the same host."""
    port = free_port()
    there = f"http://127.0.0.1:{port}"
    await clinic.add_app("relying-party", redirectUris=[f"{there}/callback"])
    onwards = build_authorization_url(clinic, client_id="relying-party", redirect_uri=f"{there}/callback")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 302, "headers": [(b"location", onwards.encode())]})
        await send({"type": "http.response.body", "body": b""})

    async with serve_on(application, port):
        callback = await sign_in(client, f"{there}/authorize", "anna", PASSWORD)
    assert callback.startswith(f"{there}/callback?")


async def test_a_confidential_client_exchanges_the_code_with_its_secret(clinic: Clinic) -> None:
    """As our SMART server does: the claims of the ID token identify the user."""
    app = {"publicClient": False, "secret": SECRET, "defaultClientScopes": ["basic", "fhirUser", "profile"]}
    await clinic.add_app("smart-server", optionalClientScopes=[], **app)
    who = ("smart-server", REDIRECT_URI, "otto", PASSWORD)
    answer = await clinic.realm.code_flow(*who, client_secret=SECRET)
    token_claims = claims(answer["id_token"])
    assert (token_claims["fhirUser"], token_claims["preferred_username"]) == ("Practitioner/practitioner-1", "otto")
    with pytest.raises(TokenRequestError, match=r"unauthorized_client|invalid_client"):
        await clinic.realm.code_flow(*who, client_secret="wrong")
