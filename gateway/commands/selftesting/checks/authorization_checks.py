"""Authorization requests that must fail, and backend services: what needs an app, but no user and no record."""

import secrets
import time

from joserfc.jwk import RSAKey

from gateway.commands.selftesting.browser import Browser, Page
from gateway.commands.selftesting.check_results import CheckError, CheckResults
from gateway.commands.selftesting.smart_app import CALLBACK, BackendApp, SmartApp, granted_token
from gateway.commands.selftesting.temporary_accounts import TemporaryAccounts
from gateway.commands.selftesting.web import Web

FAMILY = "authorization"
BACKEND_SCOPE = "system/Patient.rs"
_SCOPE = "launch/patient patient/Patient.rs"
_OTHER_REDIRECTS = {
    "a path below": f"{CALLBACK}/more",
    "a slash": f"{CALLBACK}/",
    "a query": f"{CALLBACK}?a=b",
    "a fragment": f"{CALLBACK}#a",
    "another path": "https://selftest.invalid/other",
    "dots in the path": "https://selftest.invalid/x/../callback",
    "another host": "https://selftest.invalid.evil.example/callback",
    "a user before the host": "https://selftest.invalid@evil.example/callback",
    "a port": "https://selftest.invalid:8443/callback",
    "http": CALLBACK.replace("https:", "http:"),
    "another case": CALLBACK.replace("callback", "Callback"),
    "none": None,
}  # fmt: skip


def check_authorization_requests(results: CheckResults, web: Web, app: SmartApp) -> None:
    """Check what an app of the gateway is refused before anybody signs in."""
    with results.check(FAMILY, "a public app needs PKCE, by S256"):
        for changes in (
            {"code_challenge": None, "code_challenge_method": None},
            {"code_challenge": app.verifier, "code_challenge_method": "plain"},
            {"code_challenge": "short"},
        ):
            _check_no_code(app, Browser(web).open(app.authorization_url(_SCOPE, **changes)))
    with results.check(FAMILY, "a redirect URI is compared character by character, and no other one is followed"):
        for kind, uri in _OTHER_REDIRECTS.items():
            page = Browser(web).open(app.authorization_url(_SCOPE, redirect_uri=uri))
            if page.left_for is not None:
                raise CheckError(f"the browser is sent away with {kind}", sent=_path(app))
            if page.answer.status < 400 or page.forms:
                raise CheckError(f"the request goes on with {kind}", sent=_path(app))
    with results.check(FAMILY, "a request for another FHIR server (aud) gets no code"):
        for aud in ("https://selftest.invalid/fhir", None):
            _check_no_code(app, Browser(web).open(app.authorization_url(_SCOPE, aud=aud)))
    with results.check(FAMILY, "no token is issued without a code (implicit flow), and none without a state"):
        for changes in ({"response_type": "token"}, {"response_type": "code id_token"}, {"state": None}):
            page = Browser(web).open(app.authorization_url(_SCOPE, **changes))
            _check_no_code(app, page)
            if "access_token" in (page.left_for or ""):
                raise CheckError("a token is in the redirect", sent=_path(app))


def _check_no_code(app: SmartApp, page: Page) -> None:
    """The request ends, with an error for the app or with a page that says so."""
    if page.left_for is None and (page.answer.status < 400 or page.forms):
        raise CheckError("the request goes on", sent=_path(app))
    if page.left_for is not None and ("error" not in page.parameters or "code" in page.parameters):
        raise CheckError("the browser is sent to the app without an error", sent=_path(app))


def _path(app: SmartApp) -> str:
    return f"GET {app.endpoints.authorize}"


def check_backend(results: CheckResults, web: Web, accounts: TemporaryAccounts, base: str) -> None:
    """Register a backend service, use it, and remove it: its tokens end."""
    apps: list[BackendApp] = []
    tokens: list[str] = []
    with results.check(FAMILY, "a backend service is registered and gets a token"):
        apps.append(accounts.add_backend("backend", BACKEND_SCOPE))
        answer = web.until(lambda: apps[0].request_token(BACKEND_SCOPE), lambda one: one.status == 200)
        tokens.append(granted_token(answer))
    if not tokens:
        results.skip(FAMILY, "it searches, and is refused what it was not granted", "there is no token")
        return
    app, bearer = apps[0], {"authorization": f"Bearer {tokens[0]}", "accept": "application/fhir+json"}
    with results.check(FAMILY, "it searches, and is refused what it was not granted"):
        for path, status in (("/Patient?_count=1", 200), ("/Observation?_count=1", 403), ("/Observation/x", 403)):
            answer = web.request("GET", base + path, headers=bearer)
            if answer.status != status:
                raise CheckError(f"the status is {answer.status} instead of {status}", sent=answer.sent)
    with results.check(FAMILY, "a client assertion counts once, for this server, signed by the app's own key"):
        _check_assertions(app)
    with results.check(
        FAMILY, "its token ends when it is removed", "Look for `store` in the log: is the state shared?"
    ):
        removed = accounts.remove_app(app.client_id)
        if removed.status != 200:
            raise CheckError(f"the admin API answered {removed.status}", sent=removed.sent)
        answer = web.until(
            lambda: web.request("GET", f"{base}/Patient?_count=1", headers=bearer), lambda one: one.status == 401
        )
        if answer.status != 401:
            raise CheckError(f"the status is still {answer.status}", sent=answer.sent)


def _check_assertions(app: BackendApp) -> None:
    used = app.assertion()
    granted_token(app.request_token(BACKEND_SCOPE, used))
    other_key = RSAKey.generate_key(2048, parameters={"kid": str(app.key.kid)})
    for kind, assertion in (
        ("that was used before", used),
        ("for another server", app.assertion(aud="https://selftest.invalid/token")),
        ("that has expired", app.assertion(exp=int(time.time()) - 600)),
        ("of another app", app.assertion(iss=f"selftest-{secrets.token_hex(4)}")),
        ("signed by another key", app.assertion(key=other_key)),
    ):
        answer = app.request_token(BACKEND_SCOPE, assertion)
        if answer.status not in {400, 401}:
            raise CheckError(f"an assertion {kind} is accepted", sent=answer.sent)
