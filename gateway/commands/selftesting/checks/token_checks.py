"""Codes and tokens: what may be used once is used once, by the app that it was issued to, until it ends."""

from gateway.commands.selftesting.check_results import CheckError, CheckResults
from gateway.commands.selftesting.patient_session import PatientSession, Tokens
from gateway.commands.selftesting.smart_app import SmartApp
from gateway.commands.selftesting.web import Answer, Web

FAMILY = "tokens"
_SCOPE = "launch/patient offline_access openid fhirUser patient/Patient.rs"
_ONE_STATE = "Do all processes of the gateway have the same store, with the same keys?"


def check_tokens(
    results: CheckResults, web: Web, apps: tuple[SmartApp, SmartApp], session: PatientSession, patient: str
) -> None:
    """Use codes and tokens of the first app wrongly. `patient` is the id that the tokens read."""
    app, other = apps

    def read(tokens: Tokens) -> Answer:
        return web.request("GET", f"{app.endpoints.base}/Patient/{patient}", headers=tokens.bearer)

    def check_ends(tokens: Tokens) -> None:
        answer = web.until(lambda: read(tokens), lambda one: one.status == 401)
        if answer.status != 401:
            raise CheckError(f"the token is still answered with {answer.status}", sent=answer.sent)

    with results.check(FAMILY, "a code needs its verifier, its redirect URI and its own app"):
        for kind, changes in (
            ("without a verifier", {"code_verifier": None}),
            ("with an empty verifier", {"code_verifier": ""}),
            ("with a wrong verifier", {"code_verifier": app.verifier[::-1]}),
            ("with another redirect URI", {"redirect_uri": "https://selftest.invalid/other"}),
            ("by another app", {"client_id": other.client_id}),
        ):
            answer = app.exchange(session.request_code(app, _SCOPE), **changes)
            _check_no_token(answer, kind)
    with results.check(FAMILY, "a code that is used twice ends what it opened", _ONE_STATE):
        code = session.request_code(app, _SCOPE)
        first = Tokens(app.exchange(code))
        _check_reads(read(first))
        _check_no_token(app.exchange(code), "the second time")
        check_ends(first)
    with results.check(FAMILY, "a refresh token is replaced, for its own app and for no more than was granted"):
        tokens = session.request_tokens(app, _SCOPE)
        _check_no_token(app.refresh(tokens.refresh, scope=f"{_SCOPE} patient/*.cruds"), "with more scopes")
        _check_no_token(other.refresh(tokens.refresh), "by another app")
        renewed = Tokens(app.refresh(tokens.refresh))
        if renewed.answer.status != 200 or renewed.refresh == tokens.refresh:
            raise CheckError(f"it is not replaced: {renewed.answer.status}", sent=renewed.answer.sent)
        _check_reads(read(renewed))
    with results.check(FAMILY, "a refresh token that is used again ends what it opened", _ONE_STATE):
        first = session.request_tokens(app, _SCOPE)
        second = Tokens(app.refresh(first.refresh))
        third = Tokens(app.refresh(second.refresh))
        _check_reads(read(third))
        # The first one: the one before the last may be sent again by an app that did not get the response.
        _check_no_token(app.refresh(first.refresh), "that was replaced twice")
        _check_no_token(app.refresh(third.refresh), "of an access that has ended")
        check_ends(third)
    with results.check(FAMILY, "nothing but an access token opens the FHIR server"):
        code = session.request_code(app, _SCOPE)
        tokens = session.request_tokens(app, _SCOPE)
        for kind, text in (
            ("a code", code),
            ("a refresh token", tokens.refresh),
            ("an id_token", tokens.member("id_token")),
        ):
            headers = {"authorization": f"Bearer {text}"}
            answer = web.request("GET", f"{app.endpoints.base}/Patient/{patient}", headers=headers)
            if answer.status != 401:
                raise CheckError(f"{kind} is answered with {answer.status}", sent=answer.sent)
    with results.check(FAMILY, "a token that is revoked ends in every process", _ONE_STATE):
        tokens = session.request_tokens(app, _SCOPE)
        _check_reads(read(tokens))
        answer = app.revoke(tokens.access)
        if answer.status != 200:
            raise CheckError(f"the revocation was answered with {answer.status}", sent=answer.sent)
        check_ends(tokens)
        again = session.request_tokens(app, _SCOPE)
        app.revoke(again.refresh)
        _check_no_token(app.refresh(again.refresh), "that was revoked")


def _check_no_token(answer: Answer, kind: str) -> None:
    if answer.status not in {400, 401}:
        raise CheckError(f"{kind}, it is answered with {answer.status}", sent=answer.sent)
    if answer.member("access_token") is not None:
        raise CheckError(f"{kind}, there is a token", sent=answer.sent)


def _check_reads(answer: Answer) -> None:
    if answer.status != 200:
        raise CheckError(f"a good token is answered with {answer.status}", sent=answer.sent)
