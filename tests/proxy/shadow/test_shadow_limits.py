"""What shadow mode leaves alone: who is not named, what is not asked for, and refused tokens."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.credentials.development_key import load_or_create_key, sign_access_token
from gateway.policy.reasons import Reason
from tests.proxy.bundles.bundles import entry, entry_reason
from tests.proxy.running_gateway import ISSUER, RunningGateway
from tests.proxy.shadow.shadow_gateways import (
    EXPIRED,
    OTHER_ISSUER,
    SHADOWED,
    UNLISTED,
    ask,
    ask_and_look,
    entries,
    last_record,
    shadow_gateway,
)
from tests.proxy.writing.record_server import RecordServer, record_server
from tests.proxy.writing.writes import EVERYTHING, observation, reason_of, replace

pytestmark = pytest.mark.asyncio(loop_scope="module")
Pair = tuple[RunningGateway, RecordServer]
FHIR, PATCH = {"content-type": "application/fhir+json"}, {"content-type": "application/json-patch+json"}
LABELS: Any = {"security_labels": {"labels": ["R", "V"], "roles": ["psychiatrist"]}}
RESTRICTED: Any = {"meta": {"security": [{"code": "R"}]}}
OF_B, OWN = "/Observation/of-b", "/Observation/own"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[RecordServer]:
    async with record_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _records(server: RecordServer) -> None:
    server.records.clear()
    server.requests.clear()
    for patient in ("pat-a", "pat-b"):
        server.put({"resourceType": "Patient", "id": patient})
    server.put(observation("pat-a", "own"))
    server.put(observation("pat-b", "of-b"))
    server.put(observation("pat-b", "labelled", **RESTRICTED))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(server: RecordServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """Reads of one client, and of all clients of the other issuer, are in shadow mode."""
    folder, shadow = tmp_path_factory.mktemp("limits"), entries(also_for=OTHER_ISSUER)
    async with shadow_gateway(server.base_url, folder, shadow=shadow, record_rules=LABELS) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_gateway(server: RecordServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    """All that may be in shadow mode is."""
    shadow = entries(writes=True, operations=True, record_rules=True)
    folder = tmp_path_factory.mktemp("open")
    async with shadow_gateway(server.base_url, folder, shadow=shadow, record_rules=LABELS) as running:
        yield running


CLAIMS: dict[str, tuple[dict[str, Any], bool]] = {
    "the client that is named": ({}, True),
    "the same client id of another issuer, all of whose clients are": ({"iss": OTHER_ISSUER}, True),
    "any client of that issuer": ({"iss": OTHER_ISSUER, "client_id": UNLISTED}, True),
    "a client that is not named": ({"client_id": UNLISTED}, False),
    "a client whose time is over": ({"client_id": EXPIRED}, False),
    "another client that writes the id into azp": ({"client_id": UNLISTED, "azp": SHADOWED}, False),
    "another client by azp that writes the id into client_id": ({"azp": UNLISTED}, False),
    "both claims with the same id": ({"azp": SHADOWED}, True),
    "the id in azp alone": ({"client_id": None, "azp": SHADOWED}, True),
    "a second claim that is no text": ({"appid": [SHADOWED]}, False),
    "an id in capitals": ({"client_id": SHADOWED.upper()}, False),
    "an id with a space": ({"client_id": SHADOWED + " "}, False),
    "a subject with the id": ({"client_id": UNLISTED, "sub": SHADOWED}, False),
    "a token with more claims": ({"shadow": True, "names_one_client": True, "client_id": UNLISTED}, False),
}


@pytest.mark.parametrize(("claims", "is_shadowed"), CLAIMS.values(), ids=CLAIMS)
async def test_a_caller_is_known_by_issuer_and_client_together(
    gateway: RunningGateway, claims: dict[str, Any], is_shadowed: bool
) -> None:
    response, record = await ask_and_look(gateway, OF_B, claims=claims)
    assert (response.status_code == 200) is is_shadowed
    assert (record.shadow is not None) is is_shadowed


async def test_an_id_of_one_issuer_is_nobody_at_another(server: RecordServer, tmp_path: Path) -> None:
    async with shadow_gateway(server.base_url, tmp_path, shadow=entries()) as gateway:
        response, record = await ask_and_look(gateway, OF_B, claims={"iss": OTHER_ISSUER})
    assert (response.status_code, record.shadow) == (404, None)


async def test_a_client_whose_own_time_is_over_is_not_let_through_with_its_issuer(
    server: RecordServer, tmp_path: Path
) -> None:
    async with shadow_gateway(server.base_url, tmp_path, shadow=entries(also_for=ISSUER)) as gateway:
        assert (await ask(gateway, OF_B, client=UNLISTED)).status_code == 200
        assert (await ask(gateway, OF_B, client=EXPIRED)).status_code == 404


TOKENS: dict[str, dict[str, Any]] = {
    "expired": {"exp": int(time.time()) - 3600},
    "for another server": {"aud": "urn:another"},
    "of an unknown issuer": {"iss": "https://nobody.example"},
    "without a client": {"client_id": None},
    "bound to a certificate": {"cnf": {"x5t#S256": "A" * 43}},
}


@pytest.mark.parametrize("claims", TOKENS.values(), ids=TOKENS)
async def test_a_refused_token_stays_refused(gateway: RunningGateway, claims: dict[str, Any]) -> None:
    response, record = await ask_and_look(gateway, OWN, claims=claims)
    assert (response.status_code, record.shadow) == (401, None)


async def test_a_token_with_another_signature_stays_refused(gateway: RunningGateway, tmp_path: Path) -> None:
    claims = {"iss": ISSUER, "aud": "urn:the-fhir-server", "client_id": SHADOWED, "scope": "system/*.rs"}
    token = sign_access_token(load_or_create_key(tmp_path / "key.json"), {**claims, "exp": int(time.time()) + 600})
    response = await gateway.request(OWN, None, headers={"authorization": f"Bearer {token}"})
    assert (response.status_code, last_record(gateway, response).shadow) == (401, None)


WRITES: dict[str, tuple[str, str, Any]] = {
    "a create for another patient": ("POST", "/Observation", observation("pat-b")),
    "an update of another patient's record": ("PUT", OF_B, observation("pat-b", "of-b", status="amended")),
    "a patch of another patient's record": ("PATCH", OF_B, replace("/status", "amended")),
    "a delete of another patient's record": ("DELETE", OF_B, None),
    "a conditional update": ("PUT", "/Observation?category=x", observation("pat-b")),
}


async def _write(gateway: RunningGateway, method: str, path: str, body: Any, scope: str) -> Any:
    content = {} if body is None else {"content": json.dumps(body)}
    headers = PATCH if method == "PATCH" else FHIR
    return await ask_and_look(gateway, path, scope, method=method, headers=headers, **content)


@pytest.mark.parametrize(("method", "path", "body"), WRITES.values(), ids=WRITES)
async def test_writes_are_enforced(
    gateway: RunningGateway, server: RecordServer, method: str, path: str, body: Any
) -> None:
    before = dict(server.records)
    response, record = await _write(gateway, method, path, body, "patient/*.rs")
    assert (response.status_code, reason_of(response)) == (403, "scope_insufficient")
    assert record.shadow is None
    assert server.records == before
    assert not [request for request in server.requests if not request.startswith("GET")]


OPEN_WRITES: dict[str, tuple[str, str, Any, str, Reason]] = {
    "without a scope": ("PUT", OWN, observation("pat-a", "own"), "patient/*.rs", Reason.SCOPE_INSUFFICIENT),
    "of another patient's record": (
        "PUT", OF_B, observation("pat-b", "of-b", status="amended"), EVERYTHING, Reason.WRITE_OUT_OF_REACH,
    ),
    "as a create for another patient": (
        "POST", "/Observation", observation("pat-b"), EVERYTHING, Reason.WRITE_OUT_OF_REACH,
    ),
    "as a delete of another patient's record": ("DELETE", OF_B, None, EVERYTHING, Reason.OUT_OF_REACH),
    "as a patch of another patient's record": (
        "PATCH", OF_B, replace("/status", "amended"), EVERYTHING, Reason.OUT_OF_REACH,
    ),
    "of an own record": (
        "PUT", OWN, observation("pat-a", "own", status="amended"), EVERYTHING, Reason.PERMITTED,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "scope", "reason"), OPEN_WRITES.values(), ids=OPEN_WRITES)
async def test_writes_are_in_shadow_mode_where_that_is_asked_for(
    open_gateway: RunningGateway, server: RecordServer, method: str, path: str, body: Any, scope: str, reason: Reason
) -> None:
    before = dict(server.records)
    response, record = await _write(open_gateway, method, path, body, scope)
    assert response.is_success, response.text
    assert record.shadow is not None
    assert record.shadow.reason is reason
    assert server.records != before
    assert len([request for request in server.requests if not request.startswith("GET")]) == 1


async def test_a_batch_is_answered_entry_by_entry(gateway: RunningGateway, server: RecordServer) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [entry("GET", "Observation/of-b"), entry("PUT", "Observation/of-b", observation("pat-b", "of-b"))],
    }
    before = dict(server.records)
    response = await ask(gateway, "/", "patient/*.rs", method="POST", json=bundle, headers=FHIR)
    read, written = response.json()["entry"]
    assert read["resource"]["id"] == "of-b"
    assert entry_reason(written) == "scope_insufficient"
    assert server.records == before
    decision_id = response.headers["x-decision-id"]
    shadows = {record.decision_id: record.shadow for record in gateway.telemetry.records}
    read_outcome = shadows[f"{decision_id}.0"]
    assert read_outcome is not None
    assert read_outcome.reason is Reason.OUT_OF_REACH
    assert shadows[f"{decision_id}.1"] is None


async def test_a_transaction_is_enforced_even_where_writes_are_in_shadow_mode(
    open_gateway: RunningGateway, server: RecordServer
) -> None:
    update = entry("PUT", "Observation/of-b", observation("pat-b", "of-b", status="amended"))
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [update]}
    before = dict(server.records)
    response = await ask(open_gateway, "/", EVERYTHING, method="POST", json=bundle, headers=FHIR)
    assert response.status_code == 403
    assert server.records == before


async def test_the_reads_of_a_transaction_that_is_permitted_are_in_shadow_mode(
    gateway: RunningGateway, server: RecordServer
) -> None:
    entries_of = {
        "permitted": [entry("GET", "Observation/of-b")],
        "refused": [entry("GET", "Observation/of-b"), entry("PUT", "Observation/own", observation("pat-a", "own"))],
    }
    answers = {}
    for name, listed in entries_of.items():
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": listed}
        answers[name] = await ask(gateway, "/", "patient/*.rs", method="POST", json=bundle, headers=FHIR)
    assert answers["permitted"].json()["entry"][0]["resource"]["id"] == "of-b"
    assert (answers["refused"].status_code, reason_of(answers["refused"])) == (403, "scope_insufficient")
    assert not [request for request in server.requests if not request.startswith("GET")]


@pytest.mark.parametrize("level", ["/$export", "/Patient/$export"])
async def test_exports_are_enforced(open_gateway: RunningGateway, level: str) -> None:
    headers = {"prefer": "respond-async", "accept": "application/fhir+json"}
    response, record = await ask_and_look(open_gateway, level, headers=headers)
    assert (response.status_code, record.shadow) == (403, None)


async def test_labelled_records_are_withheld_in_shadow_mode(gateway: RunningGateway) -> None:
    read, record = await ask_and_look(gateway, "/Observation/labelled")
    assert (read.status_code, record.reason) == (404, Reason.RECORD_WITHHELD)
    found = await ask(gateway, "/Observation?_id=of-b,labelled,own")
    assert [one["resource"]["id"] for one in found.json()["entry"]] == ["own", "of-b"]
    assert "total" not in found.json()


async def test_labelled_records_are_shown_where_that_is_asked_for(open_gateway: RunningGateway) -> None:
    read, record = await ask_and_look(open_gateway, "/Observation/labelled", "system/*.rs")
    assert read.status_code == 200
    assert record.shadow is not None
    assert record.shadow.reason is Reason.RECORD_WITHHELD
    _, record = await ask_and_look(open_gateway, "/Observation?_id=labelled,of-b", "system/*.rs")
    assert record.shadow is not None
    assert dict(record.shadow.dropped) == {("Observation", Reason.RECORD_WITHHELD): 1}


async def test_what_cannot_be_parsed_is_refused_to_all(gateway: RunningGateway) -> None:
    response, record = await ask_and_look(gateway, "/Observation?no-such-parameter=1")
    assert (response.status_code, record.shadow) == (400, None)


async def test_a_parameter_that_no_token_may_use_is_refused_to_all(gateway: RunningGateway) -> None:
    response, record = await ask_and_look(gateway, "/Observation?_filter=status eq final")
    assert (response.status_code, reason_of(response), record.shadow) == (403, "parameter_refused", None)
