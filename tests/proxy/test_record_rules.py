"""Security labels and rules of the site, in every interaction, in front of a server that ignores every criterion."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.policy.reasons import Reason
from tests.proxy.leaked_marks import refusal_reason
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.writing.record_server import Habits, RecordServer, record_server
from tests.proxy.writing.writes import observation, replace, write
from tests.site_rules.sample_rules import install

pytestmark = pytest.mark.asyncio(loop_scope="module")
Pair = tuple[RunningGateway, RecordServer]

RESTRICTED: Any = {"meta": {"security": [{"code": "R"}]}}
RULES: Any = {
    "security_labels": {
        "labels": ["R", "V"],
        "roles": ["psychiatrist"],
        "purposes_of_use": ["urn:p|ETREAT"],
        "scopes": ["https://example.org/sensitive"],
        "user_types": ["Practitioner"],
    },
    "site_rules": ["final"],
}
MARK = "very-secret"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        install(monkeypatch, final="tests.proxy.test_record_rules:NotCancelled")
        async with (
            record_server(Habits(criteria=False)) as server,
            running_gateway(server.base_url, tmp_path_factory.mktemp("rules"), record_rules=RULES) as gateway,
        ):
            assert (await gateway.request("/metadata", None)).status_code == 200
            yield gateway, server


class NotCancelled:
    """The rule of the site: a cancelled record is only for the app that keeps the archive."""

    elements = frozenset({"status"})

    @staticmethod
    def permits(access: Any, resource: Any, letter: str) -> bool:
        """By the status."""
        if resource.get("status") == "unknown":
            raise LookupError
        return bool(access.client_id == "archive") or resource.get("status") != "cancelled"


@pytest.fixture(autouse=True)
def _records(pair: Pair) -> None:
    _, server = pair
    server.records.clear()
    server.put({"resourceType": "Patient", "id": "pat-a"})
    server.put(observation("pat-a", "open"))
    server.put(observation("pat-a", "closed", note=[{"text": MARK}], **RESTRICTED))
    server.put(observation("pat-a", "cancelled", status="cancelled", note=[{"text": MARK}]))
    server.put(observation("pat-a", "failing", status="unknown", note=[{"text": MARK}]))
    document = {"subject": {"reference": "Patient/pat-a"}, "content": [{"attachment": {"url": "Binary/vouched"}}]}
    server.put({"resourceType": "DocumentReference", "id": "d", "status": "current", **document})
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "", **RESTRICTED}
    server.put({**binary, "id": "vouched"})
    server.put({**binary, "id": "owned", "securityContext": {"reference": "Patient/pat-a"}})
    target = {"target": [{"reference": "Observation/open"}], "recorded": "2026-01-01T00:00:00Z"}
    server.put({"resourceType": "Provenance", "id": "p", **target, **RESTRICTED})
    server.put({"resourceType": "Provenance", "id": "q", "target": [{"reference": "Observation/closed"}]})


HIDDEN = (
    "/Observation/closed",
    "/Observation/cancelled",
    "/Observation/failing",
    "/Binary/vouched",
    "/Binary/owned",
    "/Provenance/p",
    "/Provenance/q",
)
SYSTEM: Any = {"patient": None}
TOKENS: dict[str, tuple[str, Any]] = {
    "a patient's app": ("patient/*.rs", {}),
    "a system's": ("system/*.rs", SYSTEM),
}


@pytest.mark.parametrize(("scope", "claims"), TOKENS.values(), ids=TOKENS)
async def test_what_a_rule_withholds_is_read_as_absent(pair: Pair, scope: str, claims: Any) -> None:
    gateway, _ = pair
    absent = await gateway.request("/Observation/none", scope, claims=claims)
    assert (await gateway.request("/Observation/open", scope, claims=claims)).status_code == 200
    for path in HIDDEN:
        if path == "/Provenance/q" and claims:
            # A token for the whole server needs no target that vouches.
            continue
        response = await gateway.request(path, scope, claims=claims)
        assert (response.status_code, response.content) == (404, absent.content), path
        if path.startswith("/Observation"):
            assert gateway.telemetry.records[-1].reason is Reason.RECORD_WITHHELD, path


@pytest.mark.parametrize(("scope", "claims"), TOKENS.values(), ids=TOKENS)
async def test_what_a_rule_withholds_is_not_found(pair: Pair, scope: str, claims: Any) -> None:
    gateway, _ = pair
    for path in ("/Observation", "/Observation?_total=accurate", "/Observation?_id=open,closed,cancelled,failing"):
        response = await gateway.request(path, scope, claims=claims)
        assert [entry["resource"]["id"] for entry in response.json()["entry"]] == ["open"]
        assert MARK not in response.text
        assert "total" not in response.json()
        assert gateway.telemetry.records[-1].withheld["Observation"] == 3
        assert gateway.telemetry.records[-1].dropped == {"Observation": 3}
        assert gateway.telemetry.records[-1].narrowing_misses == {}


LIFTED: dict[str, tuple[str, Any]] = {
    "a role": ("patient/*.rs", {"roles": ["psychiatrist"]}),
    "a role in a realm": ("patient/*.rs", {"realm_access": {"roles": ["psychiatrist"]}}),
    "a purpose of use": ("patient/*.rs", {"purpose_of_use": [{"system": "urn:p", "code": "ETREAT"}]}),
    "a purpose of use as IHE has it": (
        "patient/*.rs",
        {"extensions": {"ihe_iua": {"purpose_of_use": [{"system": "urn:p", "code": "ETREAT"}]}}},
    ),
    "a scope": ("patient/*.rs https://example.org/sensitive", {}),
    "a practitioner": ("patient/*.rs", {"fhirUser": "Practitioner/1"}),
}


@pytest.mark.parametrize(("scope", "claims"), LIFTED.values(), ids=LIFTED)
async def test_a_labelled_record_is_shown_to_who_may_see_it(pair: Pair, scope: str, claims: Any) -> None:
    """The token beside it, which says the same apart from that, shares nothing with it."""
    gateway, _ = pair
    assert (await gateway.request("/Observation/closed")).status_code == 404
    assert (await gateway.request("/Observation/closed", scope, claims=claims)).status_code == 200
    assert (await gateway.request("/Binary/owned", scope, claims=claims)).status_code == 200
    assert (await gateway.request("/Observation/cancelled", scope, claims=claims)).status_code == 404


async def test_a_rule_of_the_site_knows_the_client(pair: Pair) -> None:
    gateway, _ = pair
    archive = {"client_id": "archive"}
    assert (await gateway.request("/Observation/cancelled")).status_code == 404
    assert (await gateway.request("/Observation/cancelled", claims=archive)).status_code == 200
    assert (await gateway.request("/Observation/closed", claims=archive)).status_code == 404


async def test_a_rule_holds_for_the_old_state_and_the_new_one(pair: Pair) -> None:
    gateway, server = pair
    for name in ("closed", "cancelled", "failing"):
        for method, body in (
            ("PUT", observation("pat-a", name)),
            ("PATCH", replace("/status", "amended")),
            ("DELETE", None),
        ):
            response = await write(gateway, method, f"/Observation/{name}", body)
            assert (response.status_code, refusal_reason(response)) == (404, "not_found"), (name, method)
            assert gateway.telemetry.records[-1].reason is Reason.RECORD_WITHHELD
    for changed in (RESTRICTED, {"status": "cancelled"}, {"status": "unknown"}):
        created = await write(gateway, "POST", "/Observation", observation("pat-a", **changed))
        assert (created.status_code, refusal_reason(created)) == (403, "write_out_of_reach")
        updated = await write(gateway, "PUT", "/Observation/open", observation("pat-a", "open", **changed))
        assert (updated.status_code, refusal_reason(updated)) == (403, "write_out_of_reach")
    # A reference to a withheld record is refused as one to an absent record is.
    for target in ("open", "closed", "none"):
        body = observation("pat-a", derivedFrom=[{"reference": f"Observation/{target}"}])
        created = await write(gateway, "POST", "/Observation", body)
        expected = "" if target == "open" else "reference_out_of_reach"
        assert (refusal_reason(created) if created.status_code != 201 else "") == expected, target
    assert server.take_writes() == ["POST Observation"]
    assert (await write(gateway, "PUT", "/Observation/open", observation("pat-a", "open"))).status_code == 200
