"""Refusals and failures (enforcement.md 6): their statuses, challenges and OperationOutcomes, as a client sees them."""

from pathlib import Path
from typing import Any

import pytest

from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS
from tests.proxy.leaked_marks import is_refused, refusal_reason
from tests.proxy.responses.response_gateways import DISCOVERY, ResponseGateways
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.servers.hostile import Mode
from tests.servers.process import Server

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]


def challenge(gateway: RunningGateway, parameters: str = "") -> str:
    return f'Bearer realm="{gateway.base_url}"{parameters}'


@pytest.mark.requirement("BS-12", "suite-U1")
@pytest.mark.parametrize("authorization", [None, "Basic YTpi", "Negotiate x", "bear x"])
async def test_no_token_is_401_with_a_challenge_without_an_error(
    gateway: RunningGateway, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    response = await gateway.request("/Patient/pat-a", None, headers=headers)
    assert is_refused(response, 401, "token_missing")
    assert response.headers["www-authenticate"] == challenge(gateway)


@pytest.mark.parametrize("token", ["x", "a.b.c", "a b", "e30.e30.", "é"])
async def test_a_bad_token_is_401_with_invalid_token(gateway: RunningGateway, token: str) -> None:
    response = await gateway.request("/Patient/pat-a", None, headers={"authorization": f"Bearer {token}".encode()})
    assert response.status_code == 401
    assert refusal_reason(response).startswith("token_")
    assert response.headers["www-authenticate"] == challenge(gateway, ', error="invalid_token"')


@pytest.mark.requirement("BS-13", "T-8")
async def test_an_expired_token_is_401_with_invalid_token(gateway: RunningGateway) -> None:
    response = await gateway.request("/Patient/pat-a", claims={"exp": 1_000_000_000})
    assert is_refused(response, 401, "token_expired")
    assert response.headers["www-authenticate"] == challenge(gateway, ', error="invalid_token"')


INSUFFICIENT_SCOPES = {
    "a read": ("/Patient/pat-a", "patient/Observation.rs", "patient/Patient.r"),
    "a version": ("/Patient/pat-a/_history/1", "patient/Patient.s", "patient/Patient.r"),
    "a history": ("/Patient/pat-a/_history", "patient/Patient.s", "patient/Patient.r"),
    "a search": ("/Observation", "patient/Observation.r", "patient/Observation.s"),
    "a search under user/": ("/Observation", "user/Patient.rs", "user/Observation.s"),
    "a history of a type": ("/Observation/_history", "patient/Observation.r", "patient/Observation.s"),
    "a search of the system": ("/?_type=Condition", "patient/Observation.rs", "patient/Condition.s"),
    "a compartment": ("/Patient/pat-a/Condition", "patient/Observation.rs", "patient/Condition.s"),
    "no resource scope at all": ("/Observation", "openid", "patient/Observation.s"),
}


@pytest.mark.requirement("BS-13", "SC-3")
@pytest.mark.parametrize(("path", "scope", "missing_scope"), INSUFFICIENT_SCOPES.values(), ids=INSUFFICIENT_SCOPES)
async def test_a_scope_that_lacks_is_403_and_names_the_scope_to_ask_for(
    gateway: RunningGateway, path: str, scope: str, missing_scope: str
) -> None:
    response = await gateway.request(path, scope, claims={"fhirUser": "Patient/pat-a"})
    assert is_refused(response, 403, "scope_insufficient")
    assert response.headers["www-authenticate"] == challenge(
        gateway, f', error="insufficient_scope", scope="{missing_scope}"'
    )


CONTEXTS = {
    "no patient": ({"patient": None}, "patient/*.rs", "patient_context_missing"),
    "a list of patients": ({"patient": ["pat-a", "pat-b"]}, "patient/*.rs", "patient_context_invalid"),
    "a path": ({"patient": "../Patient/pat-b"}, "patient/*.rs", "patient_context_invalid"),
    "two ids": ({"patient": "pat-a,pat-b"}, "patient/*.rs", "patient_context_invalid"),
    "no user": ({}, "user/*.rs", "user_reach_unknown"),
    "a user elsewhere": ({"fhirUser": "https://evil.example/Patient/pat-a"}, "user/*.rs", "user_reach_unknown"),
}


@pytest.mark.parametrize(("claims", "scope", "reason"), CONTEXTS.values(), ids=CONTEXTS)
async def test_a_token_without_a_usable_context_is_403_and_says_which(
    gateway: RunningGateway, claims: dict[str, Any], scope: str, reason: str
) -> None:
    for path in ("/Patient/pat-a", "/Observation"):
        response = await gateway.request(path, scope, claims=claims)
        assert is_refused(response, 403, reason)
        assert "www-authenticate" not in response.headers


async def test_absent_and_out_of_reach_are_404_with_the_same_bytes(gateway: RunningGateway) -> None:
    bodies = set()
    for path in ("Patient/pat-b", "Patient/no-such", "Observation/pat-b-smoking", "Binary/pat-b-binary", "Device/no"):
        response = await gateway.request(f"/{path}")
        assert is_refused(response, 404, "not_found")
        bodies.add(response.content)
    assert len(bodies) == 1


async def test_every_refusal_is_an_outcome_with_its_reason_and_is_not_stored(gateway: RunningGateway) -> None:
    reasons = {
        "/Nonsense": Reason.RESOURCE_TYPE_UNKNOWN,
        "/a/b/c/d/e": Reason.PATH_MALFORMED,
        "/Observation?nonsense=x": Reason.PARAMETER_UNKNOWN,
        "/Observation?code": Reason.PARAMETER_EMPTY,
        "/Observation?_count=1&_count=2": Reason.PARAMETER_REPEATED,
        "/Observation?_count=many": Reason.PARAMETER_INVALID,
        "/Observation?code:nonsense=x": Reason.MODIFIER_UNKNOWN,
        "/Observation?code=%ff": Reason.QUERY_MALFORMED,
        "/Observation?code=" + "x" * 20_000: Reason.REQUEST_TOO_LARGE,
        "/Observation?access_token=x": Reason.TOKEN_IN_QUERY,
        "/Practitioner?name=x": Reason.SEARCH_BY_ID_ONLY,
        "/Subscription": Reason.TYPE_OUT_OF_REACH,
        "/Patient/pat-a?_summary=count": Reason.COUNT_NOT_EXACT,
        "/$reindex": Reason.OPERATION_NOT_ALLOWED,
        "/?_page=nonsense": Reason.PAGE_UNKNOWN,
    }
    for path, reason in reasons.items():
        response = await gateway.request(path)
        assert is_refused(response, REFUSAL_TEXTS[reason].status, reason.value), path
        outcome = response.json()
        assert (outcome["resourceType"], len(outcome["issue"])) == ("OperationOutcome", 1)
        assert outcome["issue"][0]["code"] == REFUSAL_TEXTS[reason].issue_code
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["content-type"] == "application/fhir+json;charset=utf-8"


async def test_the_method_that_a_path_does_not_know_is_405_and_says_which_it_knows(gateway: RunningGateway) -> None:
    response = await gateway.request("/Patient/pat-a", method="POST")
    assert is_refused(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD, PUT, PATCH, DELETE"
    assert is_refused(await gateway.request("/Patient/pat-a", method="TRACE"), 405, "method_not_allowed")


async def test_a_token_in_the_query_is_not_taken_for_one(gateway: RunningGateway) -> None:
    token = gateway.token("patient/*.rs")
    assert is_refused(await gateway.request(f"/Patient/pat-a?access_token={token}", None), 401, "token_missing")
    assert is_refused(await gateway.request(f"/Patient/pat-a?access_token={token}"), 400, "token_in_query")
    form = {"content-type": "application/x-www-form-urlencoded"}
    in_body = await gateway.request(
        "/Observation/_search", None, method="POST", headers=form, content=f"access_token={token}"
    )
    assert is_refused(in_body, 401, "token_missing")


FORMATS = ("application/fhir+xml", "text/html", "text/turtle", "application/fhir+json;q=0", "text/csv, image/png")


@pytest.mark.parametrize("accept", FORMATS)
async def test_a_format_other_than_fhir_json_is_406(gateway: RunningGateway, accept: str) -> None:
    for scope in ("patient/*.rs", "system/*.rs"):
        response = await gateway.request("/Patient/pat-a", scope, headers={"accept": accept})
        assert is_refused(response, 406, "format_not_acceptable")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/*;q=0.1, text/html", ""])
async def test_fhir_json_answers_whoever_takes_it(gateway: RunningGateway, accept: str) -> None:
    response = await gateway.request("/Patient/pat-a", headers={"accept": accept})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/fhir+json;charset=utf-8")


FAILURES = {
    Mode.PATIENT_AS_500: (502, "upstream_failed"),
    Mode.UNAUTHORIZED: (502, "upstream_refused"),
    Mode.HTML: (502, "upstream_malformed"),
    Mode.MALFORMED_JSON: (502, "upstream_malformed"),
    Mode.HUGE_BODY: (502, "upstream_too_large"),
    Mode.SILENT: (504, "upstream_timeout"),
    Mode.SLOW_BODY: (504, "upstream_timeout"),
    Mode.CLOSES_AT_ONCE: (502, "upstream_unreachable"),
    Mode.TRUNCATED_BODY: (502, "upstream_unreachable"),
}


# A record that cannot be judged is answered as an absent one: what is the matter with it must not tell that it exists
# (leak_30).
FLAWED_RECORDS = {Mode.MALFORMED_JSON, Mode.HUGE_BODY, Mode.HTML}


@pytest.mark.parametrize("mode", FAILURES)
async def test_a_server_that_fails_is_told_by_status_and_reason_and_nothing_of_its_own(
    gateways: ResponseGateways, mode: Mode
) -> None:
    for path in ("/Observation/a-1", "/Observation"):
        hidden = path == "/Observation/a-1" and mode in FLAWED_RECORDS
        assert is_refused(
            await gateways.by_mode[mode].request(path), *((404, "not_found") if hidden else FAILURES[mode])
        )


async def test_answers_without_their_body_give_their_connection_back(sekmet: Server, tmp_path: Path) -> None:
    """A Binary is streamed: after HEAD, 304 and refusals, the upstream response must be closed."""
    few = {"pool": {"connections": 1, "queue": 1, "queue_timeout_seconds": 0.2}}
    async with running_gateway(sekmet.base_url, tmp_path, upstream=few) as gateway:
        assert (await gateway.request("/metadata", None)).status_code == 200
        for path, scope, status in (
            ("/Binary/pat-a-binary", "patient/*.rs", 200),
            ("/Binary/pat-b-binary", "patient/*.rs", 404),
            ("/Patient/pat-b", "system/*.rs", 200),
            ("/Patient/no-such", "system/*.rs", 404),
        ):
            for method in ("HEAD", "HEAD", "GET"):
                assert (await gateway.request(path, scope, method=method)).status_code == status


async def test_two_tokens_are_no_token(gateway: RunningGateway) -> None:
    own, other = gateway.token("patient/*.rs"), gateway.token("patient/*.rs", patient="pat-b")
    for second in (own, other):
        response = await gateway.send_raw("/fhir/Patient/pat-a", own, f"Authorization: Bearer {second}")
        assert is_refused(response, 401, "token_malformed")


async def test_what_lies_beside_the_base_is_not_there(gateway: RunningGateway) -> None:
    for target in ("/fhirX/Patient/pat-a", "/Patient/pat-a", "/", "/fhi%72/Patient/pat-a", "//fhir/Patient/pat-a"):
        response = await gateway.send_raw(target, gateway.token("patient/*.rs"))
        assert (response.status_code, "pat-a" in response.text) == (404, False)


async def test_a_server_that_is_away_is_502_and_its_metadata_too(gateways: ResponseGateways) -> None:
    for path in ("/Patient/pat-a", "/Observation"):
        assert is_refused(await gateways.down.request(path), 502, "upstream_unreachable")
    assert is_refused(await gateways.down.request("/metadata", None), 502, "upstream_unreachable")
    assert (await gateways.down.request(DISCOVERY, None)).status_code == 200
