"""Explains the decision on a request, line by line, with the token checks, parser and policy of the running gateway."""

import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from gateway.commands.explaining.check_token import CheckedToken, TokenNotAccepted, check_token
from gateway.commands.explaining.explain_bundle import explain_bundle, explain_problem
from gateway.commands.explaining.explain_error import ExplainError
from gateway.commands.explaining.live_rules import LiveRules, look_up_user, read_live_rules
from gateway.fhir.reference import parse_reference
from gateway.fhir.request.parse_request import RequestError, parse_request
from gateway.policy.decision.explain_decision import explain
from gateway.policy.decision.explanation import Explanation, Line, Outcome, explain_refusal
from gateway.policy.permission.access import Access
from gateway.policy.permission.claims import ClaimMapping, access_from_claims
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.rules import Rules
from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS
from gateway.policy.remedies import REMEDIES
from gateway.scopes.parse_scopes import ScopeError, parse_scopes
from gateway.settings.model import Settings

_UNAUTHORIZED = str(REFUSAL_TEXTS[Reason.TOKEN_SIGNATURE_INVALID].status)
EXAMPLE_RULES = Rules("https://gateway.example/fhir", "http://fhir-server.example/fhir")


def explain_request(  # noqa: PLR0913 - each is an option of the command line
    settings: Settings | None,
    method: str,
    url: str,
    *,
    scope: str | None,
    patient: str | None,
    user: str | None,
    token: str | None,
    body: bytes | None = None,
) -> Explanation:
    """The explanation. `body` is the Bundle of a batch or transaction.

    Raises `ExplainError` if scopes and token are missing, or if nothing can be said about them.
    """
    if (scope is None) == (token is None):
        raise ExplainError("Give either --scope (with --patient and --user) or --token.")
    rules = settings.rules() if settings is not None else EXAMPLE_RULES
    target = _below_base(url, rules.public_base)
    try:
        if token is not None:
            checked = check_token(token.strip(), settings, rules)
        else:
            checked = CheckedToken(_access_from_options(scope or "", patient, user, rules), "")
    except TokenNotAccepted as refused:
        return _explain_refused_token(refused)
    live = read_live_rules(settings) if settings is not None else LiveRules(rules)
    if live.is_server_supported:
        explanation = _explain_target(settings, method, target, _make_grant(settings, checked.access, live.rules), body)
    else:
        reason = Reason.UPSTREAM_VERSION_UNSUPPORTED
        explanation = explain_refusal((), reason, (REMEDIES[reason],))
    notes = [Line("Note", checked.note)] if checked.note else []
    lines = (*notes, *_refused_scope_lines(checked), *explanation.lines)
    explained = _with_doubt(replace(explanation, lines=lines), checked.doubt, _UNAUTHORIZED)
    # What depends on the record does not depend on what the FHIR server declares.
    is_search = explanation.outcome is Outcome.PERMITTED
    return _with_doubt(explained, _describe_unknown_server(live), "403") if is_search else explained


def _below_base(url: str, public_base: str) -> str:
    """Path and query below the FHIR base. Raises `ExplainError` for a URL somewhere else."""
    if url.startswith(public_base) and url[len(public_base) :][:1] in {"", "/", "?"}:
        return url[len(public_base) :]
    if urlsplit(url).scheme in {"http", "https"}:
        raise ExplainError(
            f"{url} does not lie below {public_base}, the public_base_url; give --config of its gateway."
        )
    return url


def _make_grant(settings: Settings | None, access: Access, rules: Rules) -> Grant:
    """The grant, with what the gateway looks up about the user if the reach depends on that."""
    grant = Grant(access, rules)
    reach = grant.unresolved_reach
    facts = look_up_user(settings, reach.user) if reach is not None and settings is not None else None
    return grant if facts is None else Grant(access, rules, facts)


def _explain_target(
    settings: Settings | None, method: str, target: str, grant: Grant, body: bytes | None
) -> Explanation:
    path, _, query = target.partition("?")
    extra = settings.upstream.extra_search_parameters if settings is not None else {}
    if method.upper() == "POST" and path in {"", "/"}:
        if body is None:
            raise ExplainError("Give the Bundle of the batch or transaction with --body FILE.")
        return explain_bundle(body, grant, extra)
    try:
        interaction = parse_request(method.upper(), path.encode(), query.encode(), {}, b"", extra_parameters=extra)
    except RequestError as error:
        return explain_problem(error)
    return explain(interaction, grant)


def _explain_refused_token(refused: TokenNotAccepted) -> Explanation:
    lines = tuple(Line("Token", fact) for fact in refused.facts)
    return explain_refusal(lines, refused.reason, (REMEDIES[refused.reason],), offender=refused.detail)


def _describe_unknown_server(live: LiveRules) -> str:
    if not live.problem:
        return ""
    return f"the FHIR server declares what narrows the search; its statement could not be read here ({live.problem})"


def _with_doubt(explanation: Explanation, doubt: str, otherwise: str) -> Explanation:
    """The explanation; what is not refused depends on what could not be checked here, or else has another status."""
    if not doubt or explanation.outcome is Outcome.REFUSED:
        return explanation
    condition = Line("Provided that", f"{doubt}; otherwise {otherwise}")
    return replace(explanation, lines=(*explanation.lines, condition), outcome=Outcome.DEPENDS)


def _access_from_options(scope: str, patient: str | None, user: str | None, rules: Rules) -> Access:
    claims = {
        "iss": "command line",
        "exp": time.time() + 3600,
        "client_id": "(command line)",
        "scope": scope,
        "patient": patient,
        "fhirUser": user,
    }
    access = access_from_claims(claims, ClaimMapping(), rules.bases)
    if user is not None and parse_reference(user, rules.bases) is None:
        raise ExplainError(f"{user!r} names no FHIR resource; write it as Practitioner/1.")
    return access


def _refused_scope_lines(checked: CheckedToken) -> Iterator[Line]:
    try:
        refused = parse_scopes(checked.access.scope_text, decode_slash=checked.decode_scope_slash).refused
    except ScopeError as error:
        yield Line("No scope", str(error))
        return
    for scope in refused:
        yield Line("No scope", f"{scope.text[:100]}: {scope.message}, column {scope.column}; it grants nothing")
