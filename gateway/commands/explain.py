"""Explain a decision without a running gateway: the same parser, the same decision, in plain lines."""

import time
from collections.abc import Iterator
from dataclasses import replace

from gateway.app import claim_mapping
from gateway.commands.administer import AdministrationError, Administrator
from gateway.fhir.reference import parse_reference
from gateway.fhir.request import RequestError, parse_request
from gateway.keys.refused import TokenRefused
from gateway.keys.token import read_token
from gateway.policy.access import Access
from gateway.policy.claims import ClaimMapping, ClaimsError, access_from_claims
from gateway.policy.explain import explain
from gateway.policy.grant import Grant
from gateway.policy.reasons import ANSWERS, Reason
from gateway.policy.rules import Rules
from gateway.scopes.parse import ScopeError, parse_scopes
from gateway.settings.model import Settings
from gateway.storage.handles import Kind

_NOWHERE = Rules("https://gateway.example/fhir", "http://fhir-server.example/fhir")


class ExplainError(Exception):
    """Nothing can be explained, and why, in a sentence for the person at the terminal."""


def explanation(
    settings: Settings | None,
    method: str,
    url: str,
    *,
    scope: str | None,
    patient: str | None,
    user: str | None,
    token: str | None,
) -> Iterator[str]:
    """The lines. Raises `ExplainError` where scopes or token are missing or cannot be read."""
    if (scope is None) == (token is None):
        raise ExplainError("Give either --scope (with --patient and --user) or --token.")
    rules = settings.rules() if settings is not None else _NOWHERE
    if token is not None and token.strip().startswith(Kind.ACCESS_TOKEN):
        access = _from_own_token(token.strip(), settings, rules)
        yield "Note          the token is our own: the running gateway said what it stands for"
    elif token is not None:
        access = _from_token(token, settings, rules)
        yield "Note          the signature of the token was not checked here"
    else:
        access = _from_options(scope or "", patient, user, rules)
    yield from _refused_scopes(access.scope_text, settings)
    path, _, query = url.partition("?")
    extra = settings.upstream.extra_search_parameters if settings is not None else {}
    try:
        interaction = parse_request(method.upper(), path.encode(), query.encode(), {}, b"", extra_parameters=extra)
    except RequestError as error:
        answer = ANSWERS[Reason(error.problem.value)]
        yield f"Outcome       refused, {answer.status} {error.problem}: {answer.sentence} {error.hint}".rstrip()
        yield f"Because of    {error.offender}"
        return
    yield from explain(interaction, Grant(access, rules))


def _from_options(scope: str, patient: str | None, user: str | None, rules: Rules) -> Access:
    claims = {"iss": "command line", "exp": time.time() + 3600, "client_id": "(command line)", "scope": scope}
    given = {**claims, "patient": patient, "fhirUser": user}
    access = access_from_claims(given, ClaimMapping(), rules.bases)
    if user is not None and parse_reference(user, rules.bases) is None:
        raise ExplainError(f"{user!r} names no FHIR resource; write it as Practitioner/1.")
    return access


def _from_token(token: str, settings: Settings | None, rules: Rules) -> Access:
    try:
        claims = read_token(token.strip()).claims
        issuers = settings.issuers if settings is not None else ()
        known = next((one for one in issuers if one.issuer == claims.get("iss")), None)
        mapping = claim_mapping(known) if known is not None else ClaimMapping()
        access = access_from_claims(claims, mapping, rules.bases)
    except (TokenRefused, ClaimsError) as error:
        raise ExplainError(f"The token cannot be read: {error}. Opaque tokens have nothing to explain here.") from error
    return replace(access, client_id=access.client_id or "(none)")


def _from_own_token(token: str, settings: Settings | None, rules: Rules) -> Access:
    """An opaque token of ours says nothing by itself, so the gateway that issued it is asked."""
    if settings is None:
        raise ExplainError("The token is one of this gateway's own. Give its --config, so that it can be asked about.")
    try:
        claims = Administrator(settings).claims(token)
        return access_from_claims(claims, ClaimMapping(), rules.bases)
    except (AdministrationError, ClaimsError) as error:
        raise ExplainError(str(error)) from error


def _refused_scopes(text: str, settings: Settings | None) -> Iterator[str]:
    slash = settings is not None and any(issuer.decode_scope_slash for issuer in settings.issuers)
    try:
        refused = parse_scopes(text, decode_slash=slash).refused
    except ScopeError as error:
        yield f"No scope      {error}"
        return
    for bad in refused:
        yield f"No scope      {bad.text[:100]}: {bad.message}, column {bad.column}; it grants nothing"
