"""Launches: an app that a patient starts by itself, and from the gateway's own gallery of apps."""

import time
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gateway.commands.selftesting.check_results import CheckError, CheckResults
from gateway.commands.selftesting.patient_session import PatientSession, Tokens
from gateway.commands.selftesting.smart_app import LAUNCH_URI, SmartApp
from gateway.commands.selftesting.web import Web

FAMILY = "launch"
_SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"
_EHR_SCOPE = "launch openid fhirUser patient/*.rs"


def check_launches(
    results: CheckResults, web: Web, apps: tuple[SmartApp, SmartApp], session: PatientSession, patient: str
) -> None:
    """Launch the first app. What is bound to it must be of no use to the second. `patient` is the user's own id."""
    app, other = apps
    received: list[Tokens] = []
    with results.check(FAMILY, "a user signs in and agrees, and the app gets a code and its state"):
        page = session.authorize(app, _SCOPE)
        if page.parameters.get("state") != app.state or "code" not in page.parameters:
            raise CheckError("the app got no code with its state", sent=f"GET {app.endpoints.authorize}")
        if page.parameters.get("iss", app.endpoints.issuer) != app.endpoints.issuer:
            raise CheckError("`iss` of the response is not the issuer", sent=f"GET {app.endpoints.authorize}")
        received.append(Tokens(app.exchange(page.parameters["code"])))
    if not received:
        results.skip(FAMILY, "the token response and the id_token are right", "there is no code")
    for tokens in received:
        with results.check(FAMILY, "the token response names the patient and grants no more than was asked for"):
            _check_token_response(tokens, patient)
        with results.check(FAMILY, "the id_token is signed by a published key, for this app, and names the user"):
            _check_id_token(web, app, tokens, patient)
        with results.check(FAMILY, "the token reads the patient's record"):
            answer = web.request("GET", f"{app.endpoints.base}/Patient/{patient}", headers=tokens.bearer)
            if answer.status != 200:
                raise CheckError(f"the status is {answer.status}", sent=answer.sent)
    handles: list[str] = []
    with results.check(FAMILY, "the gallery of apps starts the app for the user's patient"):
        handles.append(_start_from_gallery(app, session))
    with results.check(FAMILY, "a launch is of no use to another app, and gives its own app the patient"):
        if not handles:
            raise CheckError("there was no launch")
        page = session.authorize(other, _EHR_SCOPE, launch=handles[0])
        if "code" in page.parameters:
            raise CheckError("another app got a code for it", sent=f"GET {app.endpoints.authorize}")
        # What another app tried does not tell whether the launch is still good: the app gets a new one.
        found = session.request_tokens(app, _EHR_SCOPE, launch=_start_from_gallery(app, session))
        if found.member("patient") != patient:
            raise CheckError("the token is for another patient", sent=found.answer.sent)


def _check_token_response(tokens: Tokens, patient: str) -> None:
    answer = tokens.answer
    if answer.status != 200 or not isinstance(tokens.member("access_token"), str):
        raise CheckError(f"no token was issued: {answer.status}", sent=answer.sent)
    wrong = [
        name
        for name, is_right in (
            ("token_type", str(tokens.member("token_type")).lower() == "bearer"),
            ("expires_in", type(tokens.member("expires_in")) is int),
            ("patient", tokens.member("patient") == patient),
            ("Cache-Control", "no-store" in answer.headers.get("cache-control", "")),
        )
        if not is_right
    ]
    if wrong:
        raise CheckError(f"it has no right {', '.join(wrong)}", sent=answer.sent)
    if tokens.scopes - set(_SCOPE.split()):
        raise CheckError("it grants scopes that were not asked for", sent=answer.sent)


def _check_id_token(web: Web, app: SmartApp, tokens: Tokens, patient: str) -> None:
    keys: Any = web.request("GET", app.endpoints.jwks).json()
    token = tokens.member("id_token")
    if not isinstance(token, str):
        raise CheckError("there is none", sent=tokens.answer.sent)
    try:
        claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=["RS256", "ES256", "ES384", "RS384"]).claims
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise CheckError(f"it cannot be verified: {type(error).__name__}", sent=tokens.answer.sent) from None
    audience = claims.get("aud")
    right = {
        "iss": claims.get("iss") == app.endpoints.issuer,
        "aud": app.client_id in (audience if isinstance(audience, list) else [audience]),
        "exp": isinstance(claims.get("exp"), int) and claims["exp"] > time.time(),
        "fhirUser": str(claims.get("fhirUser", "")).endswith(f"Patient/{patient}"),
    }
    wrong = [name for name, is_right in right.items() if not is_right]
    if wrong:
        raise CheckError(f"it has no right {', '.join(wrong)}", sent=tokens.answer.sent)


def _start_from_gallery(app: SmartApp, session: PatientSession) -> str:
    """The launch handle that the app gets."""
    gallery = f"{app.endpoints.issuer}/apps"
    page = session.browser.walk(gallery, session.username, session.password)
    form = next((form for form in page.forms if form.value("client") == app.client_id), None)
    if form is None:
        raise CheckError("the gallery does not have the app", sent=f"GET {gallery}")
    opened = session.browser.submit(page, form)
    if not (opened.left_for or "").startswith(f"{LAUNCH_URI}?") or "launch" not in opened.parameters:
        raise CheckError("the app is not opened at its launch URI", sent=f"POST {gallery}")
    if opened.parameters.get("iss") != app.endpoints.base:
        raise CheckError("`iss` is not the FHIR base", sent=f"POST {gallery}")
    return opened.parameters["launch"]
