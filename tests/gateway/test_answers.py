"""The answer table (enforcement.md 6): statuses, challenges, headers and bodies, as an app or a browser meets them."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from gateway.policy.reasons import ANSWERS, Reason
from tests.gateway.marks import link_of, reason_of, refused
from tests.gateway.running import ISSUER, Running, running_gateway, running_gateways
from tests.servers.hostile import A_MARKER, B_MARKER, Mode, hostile_in_loop
from tests.servers.process import Server, free_port

pytestmark = [pytest.mark.sekmet, pytest.mark.asyncio(loop_scope="module")]

ORIGIN, STRANGE_ORIGIN = "https://app.example", "https://elsewhere.example"
AUTHORIZATION_SERVER = {
    "issuer": ISSUER,
    "jwks_uri": f"{ISSUER}/keys",
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "introspection_endpoint": f"{ISSUER}/introspect",
    "management_endpoint": f"{ISSUER}/manage",
    "capabilities": ["launch-standalone", "client-public", "sso-openid-connect", "permission-v2"],
}
SETTINGS: dict[str, Any] = {
    "authorization_server": AUTHORIZATION_SERVER,
    "cors": {"allowed_origins": [ORIGIN]},
    "upstream": {
        "max_verified_body_bytes": 200_000,
        "pool": {"connect_timeout_seconds": 0.3, "read_timeout_seconds": 0.3, "total_timeout_seconds": 0.5},
    },
}
DISCOVERY = "/.well-known/smart-configuration"


@dataclass(frozen=True)
class Front:
    """The gateway before sekmet, those before the hostile server, and one before nothing at all."""

    gateway: Running
    hostiles: dict[str, Running]
    down: Running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(sekmet: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    async with hostile_in_loop() as hostile:
        upstreams = {mode.value: hostile.base(mode) for mode in Mode}
        upstreams["down"] = f"http://127.0.0.1:{free_port()}/fhir"
        limits = {name: value for name, value in SETTINGS.items() if name != "upstream"}
        folders = [tmp_path_factory.mktemp(name) for name in ("sekmet", "hostile")]
        async with (
            running_gateway(sekmet.base_url, folders[0], **limits) as gateway,
            running_gateways(upstreams, folders[1], **SETTINGS) as running,
        ):
            assert (await gateway.ask("/metadata", None)).status_code == 200
            yield Front(gateway, running, running["down"])


@pytest.fixture
def gateway(front: Front) -> Running:
    """The gateway before a real server."""
    return front.gateway


def challenge(gateway: Running, rest: str = "") -> str:
    return f'Bearer realm="{gateway.base_url}"{rest}'


@pytest.mark.requirement("BS-12", "suite-U1")
@pytest.mark.parametrize("authorization", [None, "Basic YTpi", "Negotiate x", "bear x"])
async def test_no_token_is_401_with_a_challenge_without_an_error(gateway: Running, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    answer = await gateway.ask("/Patient/pat-a", None, headers=headers)
    assert refused(answer, 401, "token_missing")
    assert answer.headers["www-authenticate"] == challenge(gateway)


@pytest.mark.parametrize("token", ["x", "a.b.c", "a b", "e30.e30.", "é"])
async def test_a_bad_token_is_401_with_invalid_token(gateway: Running, token: str) -> None:
    answer = await gateway.ask("/Patient/pat-a", None, headers={"authorization": f"Bearer {token}".encode()})
    assert answer.status_code == 401
    assert reason_of(answer).startswith("token_")
    assert answer.headers["www-authenticate"] == challenge(gateway, ', error="invalid_token"')


@pytest.mark.requirement("BS-13", "T-8")
async def test_an_expired_token_is_401_with_invalid_token(gateway: Running) -> None:
    answer = await gateway.ask("/Patient/pat-a", claims={"exp": 1_000_000_000})
    assert refused(answer, 401, "token_expired")
    assert answer.headers["www-authenticate"] == challenge(gateway, ', error="invalid_token"')


LACKING = {
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
@pytest.mark.parametrize(("path", "scope", "asked"), LACKING.values(), ids=LACKING)
async def test_a_scope_that_lacks_is_403_and_names_the_scope_to_ask_for(
    gateway: Running, path: str, scope: str, asked: str
) -> None:
    answer = await gateway.ask(path, scope, claims={"fhirUser": "Patient/pat-a"})
    assert refused(answer, 403, "scope_insufficient")
    assert answer.headers["www-authenticate"] == challenge(gateway, f', error="insufficient_scope", scope="{asked}"')


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
    gateway: Running, claims: dict[str, Any], scope: str, reason: str
) -> None:
    for path in ("/Patient/pat-a", "/Observation"):
        answer = await gateway.ask(path, scope, claims=claims)
        assert refused(answer, 403, reason)
        assert "www-authenticate" not in answer.headers


async def test_absent_and_out_of_reach_are_404_with_the_same_bytes(gateway: Running) -> None:
    bodies = set()
    for path in ("Patient/pat-b", "Patient/no-such", "Observation/pat-b-smoking", "Binary/pat-b-binary", "Device/no"):
        answer = await gateway.ask(f"/{path}")
        assert refused(answer, 404, "not_found")
        bodies.add(answer.content)
    assert len(bodies) == 1


async def test_every_refusal_is_an_outcome_with_its_reason_and_is_not_stored(gateway: Running) -> None:
    asked = {
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
    for path, reason in asked.items():
        answer = await gateway.ask(path)
        assert refused(answer, ANSWERS[reason].status, reason.value), path
        outcome = answer.json()
        assert (outcome["resourceType"], len(outcome["issue"])) == ("OperationOutcome", 1)
        assert outcome["issue"][0]["code"] == ANSWERS[reason].issue_code
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/fhir+json;charset=utf-8"


async def test_the_method_that_a_path_does_not_know_is_405_and_says_which_it_knows(gateway: Running) -> None:
    answer = await gateway.ask("/Patient/pat-a", method="POST")
    assert refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, PUT, PATCH, DELETE"
    assert refused(await gateway.ask("/Patient/pat-a", method="TRACE"), 405, "method_not_allowed")


async def test_a_token_in_the_query_is_not_taken_for_one(gateway: Running) -> None:
    token = gateway.token("patient/*.rs")
    assert refused(await gateway.ask(f"/Patient/pat-a?access_token={token}", None), 401, "token_missing")
    assert refused(await gateway.ask(f"/Patient/pat-a?access_token={token}"), 400, "token_in_query")
    form = {"content-type": "application/x-www-form-urlencoded"}
    in_body = await gateway.ask(
        "/Observation/_search", None, method="POST", headers=form, content=f"access_token={token}"
    )
    assert refused(in_body, 401, "token_missing")


FORMATS = ("application/fhir+xml", "text/html", "text/turtle", "application/fhir+json;q=0", "text/csv, image/png")


@pytest.mark.parametrize("accept", FORMATS)
async def test_a_format_other_than_fhir_json_is_406(gateway: Running, accept: str) -> None:
    for scope in ("patient/*.rs", "system/*.rs"):
        answer = await gateway.ask("/Patient/pat-a", scope, headers={"accept": accept})
        assert refused(answer, 406, "format_not_acceptable")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/*;q=0.1, text/html", ""])
async def test_fhir_json_answers_whoever_takes_it(gateway: Running, accept: str) -> None:
    answer = await gateway.ask("/Patient/pat-a", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+json;charset=utf-8")


# Paths of every kind of answer: permitted, refused, absent, public, and the preflight.
KINDS: tuple[tuple[str, str, str | None], ...] = (
    ("GET", "/Patient/pat-a", "patient/*.rs"),
    ("GET", "/Observation?_count=2", "patient/*.rs"),
    ("GET", "/Observation/_history", "patient/*.rs"),
    ("GET", "/Binary/pat-a-binary", "patient/*.rs"),
    ("GET", "/Patient/pat-b", "patient/*.rs"),
    ("GET", "/Patient/pat-a", None),
    ("GET", "/Patient/pat-a", "patient/Observation.rs"),
    ("GET", "/a/b/c/d/e", "patient/*.rs"),
    ("POST", "/Patient", "patient/*.rs"),
    ("GET", "/metadata", None),
    ("OPTIONS", "/Patient/pat-a", None),
)


@pytest.mark.parametrize(("method", "path", "scope"), KINDS)
async def test_every_answer_carries_its_decision_id_and_a_request_id(
    gateway: Running, method: str, path: str, scope: str | None
) -> None:
    answers = [await gateway.ask(path, scope, method=method) for _ in range(2)]
    ids = [answer.headers["x-decision-id"] for answer in answers]
    assert len(set(ids)) == 2
    assert [answer.headers["x-request-id"] for answer in answers] == ids
    seen = {record.decision_id: record.answer for record in gateway.seen.records}
    assert [getattr(seen[one], "status", None) for one in ids] == [answer.status_code for answer in answers]


@pytest.mark.parametrize("offered", ["a", "8c7d2b1e-5f0a", "x" * 64, "A.b_c-1"])
async def test_a_well_formed_request_id_is_kept(front: Front, offered: str) -> None:
    for one in (front.gateway, front.down):
        answer = await one.ask("/Patient/pat-a", headers={"x-request-id": offered})
        assert answer.headers["x-request-id"] == offered
        assert answer.headers["x-decision-id"] != offered


@pytest.mark.parametrize("offered", ["", "x" * 65, "a b", "a,b", "<script>", "a/b", "a%0d%0ab", "é"])
async def test_a_request_id_of_another_form_is_replaced(gateway: Running, offered: str) -> None:
    answer = await gateway.ask("/Patient/pat-a", headers={"x-request-id": offered.encode("latin-1")})
    assert answer.headers["x-request-id"] == answer.headers["x-decision-id"]


@pytest.mark.parametrize(("method", "path", "scope"), [kind for kind in KINDS if kind[0] == "GET"])
async def test_head_is_get_without_the_body(gateway: Running, method: str, path: str, scope: str | None) -> None:
    get, head = await asyncio.gather(gateway.ask(path, scope), gateway.ask(path, scope, method="HEAD"))
    assert (head.status_code, head.content) == (get.status_code, b"")
    passing = {"date", "x-request-id", "x-decision-id", "transfer-encoding"}
    assert _without(head, passing) == _without(get, passing)


def _without(answer: httpx2.Response, names: set[str]) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in names}


async def test_a_304_comes_after_the_check_with_the_validators_alone(gateway: Running) -> None:
    own = await gateway.ask("/Patient/pat-a")
    conditions = (
        {"if-none-match": own.headers["etag"]},
        {"if-none-match": "*"},
        {"if-none-match": f'"other", {own.headers["etag"]}'},
        {"if-modified-since": own.headers["last-modified"]},
    )
    for condition in conditions:
        same = await gateway.ask("/Patient/pat-a", headers=condition)
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["etag"] == own.headers["etag"]
        assert refused(await gateway.ask("/Patient/pat-b", headers=condition), 404, "not_found")
        assert (await gateway.ask("/Patient/pat-a", None, headers=condition)).status_code == 401
        lacking = await gateway.ask("/Patient/pat-a", "patient/Observation.rs", headers=condition)
        assert lacking.status_code == 403
    for stale in ({"if-none-match": '"other"'}, {"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}):
        assert (await gateway.ask("/Patient/pat-a", headers=stale)).status_code == 200


@pytest.mark.requirement("CO-2", "CO-5")
@pytest.mark.parametrize(("method", "path", "scope"), KINDS)
async def test_a_registered_origin_may_read_every_answer_and_another_none(
    gateway: Running, method: str, path: str, scope: str | None
) -> None:
    public = path == "/metadata"
    own = await gateway.ask(path, scope, method=method, headers={"origin": ORIGIN})
    assert own.headers["access-control-allow-origin"] == ("*" if public else ORIGIN)
    assert "X-Decision-ID" in own.headers["access-control-expose-headers"]
    assert "WWW-Authenticate" in own.headers["access-control-expose-headers"]
    other = await gateway.ask(path, scope, method=method, headers={"origin": STRANGE_ORIGIN})
    assert other.headers.get("access-control-allow-origin") == ("*" if public else None)
    assert own.status_code == other.status_code
    for answer in (own, other):
        assert public or answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.requirement("CO-5", "edge-151")
async def test_a_failing_server_leaves_the_cors_headers_in_place(front: Front) -> None:
    answer = await front.down.ask("/Patient/pat-a", headers={"origin": ORIGIN})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (502, ORIGIN)


@pytest.mark.requirement("CO-5", "edge-149")
@pytest.mark.parametrize("path", ["/Patient/pat-a", "/Observation", "/", "/no/such/path/at/all"])
async def test_a_preflight_needs_no_token(gateway: Running, path: str) -> None:
    asked = {"access-control-request-method": "PUT", "access-control-request-headers": "authorization,if-match"}
    own = await gateway.ask(path, None, method="OPTIONS", headers={"origin": ORIGIN, **asked})
    assert (own.status_code, own.headers["access-control-allow-origin"]) == (204, ORIGIN)
    methods = own.headers["access-control-allow-methods"].split(", ")
    assert {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} <= set(methods)
    allowed = own.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "accept", "if-match", "if-none-match", "prefer"} <= set(allowed)
    other = await gateway.ask(path, None, method="OPTIONS", headers={"origin": STRANGE_ORIGIN, **asked})
    assert other.status_code == 204
    assert not any(name.startswith("access-control-") for name in other.headers)


@pytest.mark.requirement("CO-1", "D-4")
@pytest.mark.parametrize("path", ["/metadata", DISCOVERY])
async def test_discovery_is_open_to_every_origin(gateway: Running, path: str) -> None:
    for method, status in (("GET", 200), ("HEAD", 200), ("OPTIONS", 204)):
        answer = await gateway.ask(path, None, method=method, headers={"origin": STRANGE_ORIGIN})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "*")


@pytest.mark.requirement("CO-5")
async def test_no_header_of_the_server_passes_but_its_validators(front: Front) -> None:
    for path in ("/Observation/a-1", "/Observation", "/Observation/_history", "/Binary/a-1"):
        answer = await front.hostiles[Mode.HEADERS_OF_B].ask(path, headers={"origin": ORIGIN})
        assert (answer.status_code, A_MARKER in answer.text or path == "/Binary/a-1") == (200, True)
        known = {
            "access-control-allow-origin", "access-control-expose-headers", "cache-control", "content-length",
            "content-security-policy",
            "content-type", "date", "etag", "last-modified", "server", "transfer-encoding", "vary",
            "x-content-type-options", "x-decision-id", "x-request-id",
        }  # fmt: skip
        assert set(answer.headers) <= known
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert not any(B_MARKER in value for value in answer.headers.values())


@pytest.mark.requirement("G-8")
async def test_urls_come_from_the_configuration_and_never_from_a_header(gateway: Running) -> None:
    spoofed = ("Host: evil.example", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "Forwarded: host=e")
    token = gateway.token("patient/*.rs")
    for path in ("/Observation?_count=2", "/metadata", DISCOVERY):
        answer = await gateway.raw(f"/fhir{path}", token, *spoofed)
        assert answer.status_code == 200
        assert "evil.example" not in answer.text
    page = await gateway.raw("/fhir/Observation?_count=2", token, *spoofed)
    assert link_of(page, "self") == f"{gateway.base_url}/Observation?_count=2"
    assert (link_of(page, "next") or "").startswith(f"{gateway.base_url}/?_page=")
    assert all(entry["fullUrl"].startswith(f"{gateway.base_url}/Observation/") for entry in page.json()["entry"])


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
# A record that cannot be judged, or that the server itself guards, is answered as an absent one: what is the matter
# with it must not tell that it exists (leak_30).
FLAWED_RECORDS = {Mode.MALFORMED_JSON, Mode.HUGE_BODY, Mode.HTML, Mode.UNAUTHORIZED}


@pytest.mark.parametrize("mode", FAILURES)
async def test_a_server_that_fails_is_told_by_status_and_reason_and_nothing_of_its_own(
    front: Front, mode: Mode
) -> None:
    for path in ("/Observation/a-1", "/Observation"):
        hidden = path == "/Observation/a-1" and mode in FLAWED_RECORDS
        assert refused(await front.hostiles[mode].ask(path), *((404, "not_found") if hidden else FAILURES[mode]))


async def test_answers_without_their_body_give_their_connection_back(sekmet: Server, tmp_path: Path) -> None:
    """A Binary is streamed: HEAD, 304 and refusals must not keep the server's answer open."""
    few = {"pool": {"connections": 1, "queue": 1, "queue_timeout_seconds": 0.2}}
    async with running_gateway(sekmet.base_url, tmp_path, upstream=few) as gateway:
        assert (await gateway.ask("/metadata", None)).status_code == 200
        for path, scope, status in (
            ("/Binary/pat-a-binary", "patient/*.rs", 200),
            ("/Binary/pat-b-binary", "patient/*.rs", 404),
            ("/Patient/pat-b", "system/*.rs", 200),
            ("/Patient/no-such", "system/*.rs", 404),
        ):
            for method in ("HEAD", "HEAD", "GET"):
                assert (await gateway.ask(path, scope, method=method)).status_code == status


async def test_two_tokens_are_no_token(gateway: Running) -> None:
    own, other = gateway.token("patient/*.rs"), gateway.token("patient/*.rs", patient="pat-b")
    for second in (own, other):
        answer = await gateway.raw("/fhir/Patient/pat-a", own, f"Authorization: Bearer {second}")
        assert refused(answer, 401, "token_malformed")


async def test_what_lies_beside_the_base_is_not_there(gateway: Running) -> None:
    for target in ("/fhirX/Patient/pat-a", "/Patient/pat-a", "/", "/fhi%72/Patient/pat-a", "//fhir/Patient/pat-a"):
        answer = await gateway.raw(target, gateway.token("patient/*.rs"))
        assert (answer.status_code, "pat-a" in answer.text) == (404, False)


async def test_a_server_that_is_away_is_502_and_its_metadata_too(front: Front) -> None:
    for path in ("/Patient/pat-a", "/Observation"):
        assert refused(await front.down.ask(path), 502, "upstream_unreachable")
    assert refused(await front.down.ask("/metadata", None), 502, "upstream_unreachable")
    assert (await front.down.ask(DISCOVERY, None)).status_code == 200


async def test_the_gateway_is_alive_always_and_ready_with_its_server(
    front: Front, sekmet: Server, tmp_path: Path
) -> None:
    root = front.gateway.base_url.removesuffix("/fhir")
    client = front.gateway.client
    alive, ready = [await client.get(f"{root}/{name}") for name in ("healthz", "readyz")]
    assert (alive.status_code, alive.text, ready.status_code, ready.text) == (200, "alive\n", 200, "ready\n")
    async with running_gateway(f"http://127.0.0.1:{free_port()}/fhir", tmp_path) as lonely:
        root = lonely.base_url.removesuffix("/fhir")
        alive, ready = [await client.get(f"{root}/{name}") for name in ("healthz", "readyz")]
    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.text == "not ready: upstream_unreachable\n"


@pytest.mark.requirement("D-1", "D-2", "D-3", "D-4", "edge-1")
async def test_the_smart_configuration_is_json_for_everyone(gateway: Running) -> None:
    """D-1 to D-4: below the FHIR base, no token, JSON whatever is asked for, every endpoint absolute."""
    plain = await gateway.ask(DISCOVERY, None)
    document = plain.json()
    assert plain.headers["content-type"] == "application/json"
    for accept in ("text/html", "application/fhir+xml", "*/*", ""):
        answer = await gateway.ask(DISCOVERY, None, headers={"accept": accept, "authorization": "Bearer nonsense"})
        assert (answer.status_code, answer.content) == (200, plain.content)
        assert answer.headers["content-type"] == "application/json"
    endpoints = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
    assert len(endpoints) == 6
    assert all(value.startswith("https://") for value in endpoints.values())
    assert {name: document[name] for name in AUTHORIZATION_SERVER} == AUTHORIZATION_SERVER
    assert document["grant_types_supported"] == ["authorization_code"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert not any(value is None for value in document.values())
    assert (await gateway.ask(DISCOVERY, None, method="POST")).status_code == 405


@pytest.mark.requirement("D-10", "edge-3")
async def test_the_smart_configuration_always_lists_its_capabilities(sekmet: Server, tmp_path: Path) -> None:
    """D-10: an array of strings, also where there is none to list; what is not known is left out, never null."""
    server = {"token_endpoint": f"{ISSUER}/token", "grant_types_supported": ["client_credentials"]}
    async with running_gateway(sekmet.base_url, tmp_path, authorization_server=server) as gateway:
        document = (await gateway.ask(DISCOVERY, None)).json()
    assert document["capabilities"] == []
    assert "issuer" not in document
    assert "authorization_endpoint" not in document


async def test_the_capability_statement_says_what_this_gateway_lets_through(gateway: Running) -> None:
    answer = await gateway.ask("/metadata", None)
    statement = answer.json()
    assert statement["implementation"]["url"] == gateway.base_url
    assert (statement["format"], "patchFormat" in statement) == (["application/fhir+json", "json"], False)
    (rest,) = statement["rest"]
    service = rest["security"]["service"][0]["coding"][0]
    assert (service["code"], rest["security"]["cors"]) == ("SMART-on-FHIR", True)
    assert "operation" not in rest
    reading = {"read", "vread", "history-instance", "history-type", "search-type"}
    writing = {"operation", "updateCreate", "conditionalCreate", "conditionalUpdate", "conditionalDelete"}
    for resource in rest["resource"]:
        assert {one["code"] for one in resource["interaction"]} <= reading
        assert not writing & set(resource)
    assert {one["code"] for one in rest.get("interaction", [])} <= {"history-system", "search-system"}
    assert not re.search(r'"(create|update|patch|delete|transaction|batch)"', answer.text)


@pytest.mark.requirement("D-26")
async def test_the_oauth_uris_are_those_of_the_smart_configuration(gateway: Running) -> None:
    statement = (await gateway.ask("/metadata", None)).json()
    document = (await gateway.ask(DISCOVERY, None)).json()
    (extension,) = statement["rest"][0]["security"]["extension"]
    uris = {one["url"]: one["valueUri"] for one in extension["extension"]}
    assert extension["url"].endswith("/oauth-uris")
    names = {"authorize": "authorization", "token": "token", "revoke": "revocation", "introspect": "introspection"}
    assert uris == {
        **{name: document[f"{endpoint}_endpoint"] for name, endpoint in names.items()},
        "manage": document["management_endpoint"],
    }
