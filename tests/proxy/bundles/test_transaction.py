"""A transaction: what is sent of it, and what is shown of its answer."""

from typing import Any

import pytest

from tests.proxy.bundles.bundles import OTHER, URN, at, encounter, entry, patch_binary, send_bundle, statuses
from tests.proxy.bundles.transaction_server import TransactionServer, transaction_server
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.writing.conftest import fill
from tests.proxy.writing.record_server import Habits
from tests.proxy.writing.writes import observation, reason_of, replace

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, TransactionServer]


async def test_every_kind_of_write_goes_to_the_server_as_one(pair: Pair) -> None:
    gateway, server = pair
    server.put(observation("pat-a", "o-a2"))
    server.put(observation("pat-a", "o-a3"))
    response = await send_bundle(
        gateway,
        "transaction",
        entry("POST", "Observation", observation(encounter=at(URN)), OTHER),
        entry("POST", "Encounter", {**encounter(), "id": "chosen"}, URN),
        entry("PUT", "Observation/o-a", observation("pat-a", "o-a", status="amended"), ifMatch='W/"1"'),
        entry("PATCH", "Observation/o-a2", patch_binary(replace("/status", "amended"))),
        entry("DELETE", "Observation/o-a3"),
        entry("GET", "Observation/o-a"),
    )
    assert statuses(response) == [201, 201, 200, 200, 204, 200]
    assert response.json()["type"] == "transaction-response"
    assert response.json()["entry"][5]["resource"]["status"] == "amended"
    (sent,) = server.transactions
    assert [one["request"] for one in sent["entry"]] == [
        {"method": "POST", "url": "Observation"},
        {"method": "POST", "url": "Encounter"},
        {"method": "PUT", "url": "Observation/o-a", "ifMatch": 'W/"1"'},
        {"method": "PUT", "url": "Observation/o-a2", "ifMatch": 'W/"1"'},
        {"method": "DELETE", "url": "Observation?_id=o-a3&patient=Patient/pat-a", "ifMatch": 'W/"1"'},
    ]
    assert [one.get("fullUrl") for one in sent["entry"]] == [OTHER, URN, None, None, None]
    assert "id" not in sent["entry"][1]["resource"]
    created = response.json()["entry"][0]
    assert created["response"]["location"].startswith(f"{gateway.base_url}/Observation/new-")
    assert created["resource"]["encounter"]["reference"].startswith("Encounter/new-")
    assert ("Observation", "o-a3") not in server.records


async def test_what_is_stored_is_asked_for_in_few_questions(pair: Pair) -> None:
    gateway, server = pair
    names = [f"o-{number}" for number in range(8)]
    for name in names:
        server.put(observation("pat-a", name))
    updates = [entry("PUT", f"Observation/{name}", observation("pat-a", name)) for name in names]
    assert statuses(await send_bundle(gateway, "transaction", *updates)) == [200] * 8
    assert [request.partition("?")[0] for request in server.requests] == ["GET Observation", "POST "]


async def test_a_condition_is_resolved_before_anything_is_sent(pair: Pair) -> None:
    gateway, server = pair
    known = "identifier=urn:x|1"
    response = await send_bundle(
        gateway,
        "transaction",
        entry("POST", "Observation", observation(), URN, ifNoneExist=known),
        entry("POST", "Encounter", encounter(), ifNoneExist="identifier=urn:x|9"),
        entry("POST", "Observation", observation(hasMember=[at(URN)]), ifNoneExist="identifier=urn:x|2"),
        entry("DELETE", "Encounter?identifier=urn:x|8"),
    )
    assert statuses(response) == [200, 201, 201, 204]
    found, _, of_member, _ = response.json()["entry"]
    assert found["response"]["location"].startswith(f"{gateway.base_url}/Observation/o-a")
    assert of_member["resource"]["hasMember"] == [{"reference": "Observation/o-a"}]
    (sent,) = server.transactions
    conditions = [one["request"].get("ifNoneExist") for one in sent["entry"]]
    assert conditions[1] == "patient=Patient/pat-a&identifier=urn:x%7C2"
    assert len(conditions) == 2


@pytest.mark.parametrize(
    ("scope", "condition"),
    [
        pytest.param("patient/*.cruds", "patient=Patient/pat-a&identifier=urn:x%7C9", id="one patient"),
        pytest.param("system/*.cruds", "identifier=urn:x%7C9", id="everybody"),
        pytest.param("patient/Observation.c patient/Encounter.c system/Encounter.s", None, id="more than is written"),
        pytest.param("patient/Observation.c system/Encounter.cs", None, id="more than by what refers to it"),
    ],
)
async def test_what_is_found_in_place_of_a_named_create_is_in_the_reach_of_what_refers_to_it(
    pair: Pair, scope: str, condition: str | None
) -> None:
    gateway, server = pair
    response = await send_bundle(
        gateway,
        "transaction",
        entry("POST", "Encounter", encounter(), URN, ifNoneExist="identifier=urn:x|9"),
        entry("POST", "Observation", observation(encounter=at(URN))),
        scope=scope,
    )
    assert statuses(response) == [201, 201]
    (sent,) = server.transactions
    assert sent["entry"][0]["request"].get("ifNoneExist") == condition


async def test_a_conditional_update_is_sent_by_id_and_version(pair: Pair) -> None:
    gateway, server = pair
    known = {"identifier": [{"system": "urn:x", "value": "1"}]}
    update = entry("PUT", "Observation?identifier=urn:x|1", observation(status="amended", **known), URN)
    create = entry("POST", "Observation", observation(hasMember=[at(URN)]))
    assert statuses(await send_bundle(gateway, "transaction", update, create)) == [200, 201]
    (sent,) = server.transactions
    assert sent["entry"][0]["request"] == {"method": "PUT", "url": "Observation/o-a", "ifMatch": 'W/"1"'}
    assert sent["entry"][1]["resource"]["hasMember"] == [{"reference": "Observation/o-a"}]
    both = [update, entry("PUT", "Observation/o-a", observation("pat-a", "o-a"))]
    assert reason_of(await send_bundle(gateway, "transaction", *both)) == "bundle_malformed"


async def test_who_may_create_alone_sees_nothing_of_it(pair: Pair) -> None:
    scope = "patient/Observation.c"
    response = await send_bundle(pair[0], "transaction", entry("POST", "Observation", observation()), scope=scope)
    (answer,) = response.json()["entry"]
    assert answer.keys() == {"response"}
    assert answer["response"].keys() == {"status", "location"}


async def test_a_record_that_goes_to_another_patient_in_between_is_not_touched(pair: Pair) -> None:
    gateway, server = pair
    server.before_write = lambda: server.put(observation("pat-b", "o-a"))
    update = entry("PUT", "Observation/o-a", observation("pat-a", "o-a"))
    response = await send_bundle(gateway, "transaction", entry("POST", "Encounter", encounter()), update)
    assert (response.status_code, reason_of(response)) == (412, "precondition_failed")
    assert server.records["Observation", "o-a"]["subject"] == at("Patient/pat-b")
    assert not [key for key in server.records if key[1].startswith("new-")]


async def test_a_delete_that_comes_too_late_deletes_nothing_and_says_so(pair: Pair) -> None:
    gateway, server = pair
    server.before_write = lambda: server.put(observation("pat-b", "o-a"))
    response = await send_bundle(
        gateway, "transaction", entry("DELETE", "Observation/o-a"), entry("POST", "Encounter", encounter())
    )
    assert statuses(response) == [412, 201]
    assert ("Observation", "o-a") in server.records


MATCH = "Observation?identifier=urn:x|7"
NAMED = {"identifier": [{"system": "urn:x", "value": "7"}]}


async def test_a_conditional_update_that_creates_leaves_under_its_condition(pair: Pair) -> None:
    gateway, server = pair
    response = await send_bundle(gateway, "transaction", entry("PUT", MATCH, observation(**NAMED)))
    assert statuses(response) == [201]
    (sent,) = server.transactions
    assert sent["entry"][0]["request"] == {
        "method": "POST", "url": "Observation", "ifNoneExist": "patient=Patient/pat-a&identifier=urn:x%7C7",
    }  # fmt: skip


async def test_a_conditional_update_that_comes_second_creates_and_changes_nothing_and_says_so(pair: Pair) -> None:
    gateway, server = pair
    server.before_write = lambda: server.put(observation("pat-a", "first", **NAMED))
    update = entry("PUT", MATCH, observation(**NAMED, note=[{"text": "second"}]))
    response = await send_bundle(gateway, "transaction", update, entry("POST", "Encounter", encounter()))
    assert statuses(response) == [412, 201]
    refused = response.json()["entry"][0]
    assert refused["response"]["outcome"]["issue"][0]["details"]["coding"][0]["code"] == "precondition_failed"
    (found,) = [record for record in server.records.values() if record.get("identifier") == NAMED["identifier"]]
    assert (found["id"], "note" in found) == ("first", False)
    assert statuses(await send_bundle(gateway, "transaction", update)) == [200]
    assert server.records["Observation", "first"]["note"] == [{"text": "second"}]


async def test_a_condition_that_would_find_what_the_app_may_not_find_is_not_left_to_the_server(pair: Pair) -> None:
    gateway, server = pair
    server.put(observation("pat-a", "hidden", **NAMED))
    laboratory = {"category": [{"coding": [{"code": "laboratory"}]}]}
    scope = "patient/Observation.cus?category=laboratory patient/Observation.cus?identifier=urn:x|8"
    update = entry("PUT", MATCH, observation(**NAMED, **laboratory))
    assert statuses(await send_bundle(gateway, "transaction", update, scope=scope)) == [201]
    (sent,) = server.transactions
    assert sent["entry"][0]["request"] == {"method": "POST", "url": "Observation"}


ANSWERS = {
    "one answer too few": lambda answers: answers[:1],
    "one answer too many": lambda answers: [*answers, answers[0]],
    "an answer without a status": lambda answers: [{"response": {}}, answers[1]],
    "no entries": lambda answers: [],
}


@pytest.mark.parametrize("change", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_to_something_else_is_an_error(pair: Pair, change: Any) -> None:
    gateway, server = pair
    server.change_answer = change
    creates = [entry("POST", "Observation", observation()), entry("POST", "Encounter", encounter())]
    response = await send_bundle(gateway, "transaction", *creates)
    assert (response.status_code, reason_of(response)) == (502, "upstream_malformed")
    assert "may have been carried out" in response.text


@pytest.mark.parametrize(("code", "status"), [("412 x", 412), ("409", 412), ("400", 400), ("500 x", 400)])
async def test_a_server_that_says_that_one_entry_failed_is_believed(pair: Pair, code: str, status: int) -> None:
    gateway, server = pair
    server.change_answer = lambda answers: [answers[0], {"response": {"status": code}}]
    creates = [entry("POST", "Observation", observation()), entry("POST", "Encounter", encounter())]
    response = await send_bundle(gateway, "transaction", *creates)
    assert response.status_code == status
    assert response.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert "may have been carried out" in response.text


async def test_another_patients_record_in_the_answer_is_not_shown(pair: Pair) -> None:
    gateway, server = pair
    foreign = {"response": {"status": "200"}, "resource": server.records["Observation", "o-b"]}
    server.change_answer = lambda answers: [foreign, *reversed(answers[1:])]
    response = await send_bundle(
        gateway,
        "transaction",
        entry("PUT", "Observation/o-a", observation("pat-a", "o-a")),
        entry("POST", "Observation", observation()),
        entry("POST", "Encounter", encounter()),
    )
    assert all(one.keys() == {"response"} for one in response.json()["entry"])
    assert "pat-b" not in response.text
    assert "o-b" not in response.text


async def test_each_entry_has_its_own_record(pair: Pair) -> None:
    gateway = pair[0]
    gateway.telemetry.records.clear()
    await send_bundle(gateway, "transaction", entry("POST", "Encounter", encounter()), entry("GET", "Observation/o-a"))
    write, read, whole = gateway.telemetry.records
    assert (write.method, write.status, read.method, read.status) == ("POST", 201, "GET", 200)
    assert whole.decision_id == write.decision_id.removesuffix(".0") == read.decision_id.removesuffix(".1")


async def test_a_token_for_everything_may_name_a_new_patient(pair: Pair) -> None:
    gateway = pair[0]
    response = await send_bundle(
        gateway,
        "transaction",
        entry("POST", "Patient", {"resourceType": "Patient"}, URN),
        entry("POST", "Observation", observation(subject=at(URN))),
        scope="system/*.cruds",
    )
    assert statuses(response) == [201, 201]
    assert response.json()["entry"][1]["resource"]["subject"]["reference"].startswith("Patient/new-")


async def test_a_server_that_ignores_criteria_and_versions_does_no_more(tmp_path: Any) -> None:
    async with (
        transaction_server(Habits(criteria=False, if_match=False)) as server,
        running_gateway(server.base_url, tmp_path) as gateway,
    ):
        assert (await gateway.request("/metadata", None)).status_code == 200
        fill(server)
        delete = await send_bundle(gateway, "transaction", entry("DELETE", "Observation/o-a"))
        assert reason_of(delete) == "race_not_excluded"
        update = await send_bundle(
            gateway, "transaction", entry("PUT", "Observation?identifier=urn:x|2", observation("pat-a"))
        )
        assert statuses(update) == [201]
        assert server.records["Observation", "o-b"]["subject"] == at("Patient/pat-b")
