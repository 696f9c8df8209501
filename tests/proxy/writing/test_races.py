"""What another client does between the check of a write and the write itself: none of it gets through."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.writing.conftest import fill
from tests.proxy.writing.record_server import Habits, RecordServer, record_server
from tests.proxy.writing.writes import EVERYTHING, observation, reason_of, replace, write

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, RecordServer]
OF_B = observation("pat-b", "o-a", note=[{"text": "of B"}])

OVERTAKEN = {
    "an update": ("PUT", observation("pat-a", "o-a")),
    "a patch": ("PATCH", replace("/status", "amended")),
    "a delete": ("DELETE", None),
}


@pytest.mark.parametrize(("method", "body"), OVERTAKEN.values(), ids=OVERTAKEN)
async def test_a_record_that_went_to_another_patient_is_not_touched(honest: Pair, method: str, body: object) -> None:
    gateway, server = honest
    server.before_write = lambda: server.put(OF_B)
    response = await write(gateway, method, "/Observation/o-a", body)
    assert (response.status_code, reason_of(response)) == (412, "precondition_failed")
    assert server.records["Observation", "o-a"]["note"] == [{"text": "of B"}]


@pytest.mark.parametrize(("method", "body"), list(OVERTAKEN.values())[:2], ids=list(OVERTAKEN)[:2])
async def test_a_record_that_was_made_anew_is_not_touched(honest: Pair, method: str, body: object) -> None:
    gateway, server = honest

    def make_anew() -> None:
        server.put(observation("pat-a", "o-a"))
        server.put(OF_B)

    server.before_write = make_anew
    assert (await write(gateway, method, "/Observation/o-a", body)).status_code == 412
    assert server.records["Observation", "o-a"]["note"] == [{"text": "of B"}]


async def test_an_update_is_not_lost(honest: Pair) -> None:
    gateway, server = honest
    server.before_write = lambda: server.put(observation("pat-a", "o-a", note=[{"text": "first"}]))
    second = await write(gateway, "PATCH", "/Observation/o-a", replace("/status", "amended"))
    assert second.status_code == 412
    assert server.records["Observation", "o-a"]["note"] == [{"text": "first"}]


async def test_two_conditional_creates_make_one_record(honest: Pair) -> None:
    gateway, server = honest
    named = {"identifier": [{"system": "urn:x", "value": "7"}]}
    server.before_write = lambda: server.put(observation("pat-a", "first", **named))
    criteria = {"if_none_exist": "identifier=urn:x|7"}
    response = await write(gateway, "POST", "/Observation", observation(**named), **criteria)
    assert (response.status_code, response.json()["id"]) == (200, "first")
    found = [record for record in server.records.values() if record.get("identifier") == named["identifier"]]
    assert len(found) == 1


async def test_a_conditional_update_that_would_create_does_not_pass_for_done_when_another_was_quicker(
    honest: Pair,
) -> None:
    gateway, server = honest
    named = {"identifier": [{"system": "urn:x", "value": "7"}]}
    server.before_write = lambda: server.put(observation("pat-a", "first", **named))
    response = await write(
        gateway, "PUT", "/Observation?identifier=urn:x|7", observation(**named, note=[{"text": "second"}])
    )
    assert (response.status_code, reason_of(response)) == (412, "precondition_failed")
    (found,) = [record for record in server.records.values() if record.get("identifier") == named["identifier"]]
    assert (found["id"], "note" in found) == ("first", False)
    again = await write(
        gateway, "PUT", "/Observation?identifier=urn:x|7", observation(**named, note=[{"text": "second"}])
    )
    assert (again.status_code, server.records["Observation", "first"]["note"]) == (200, [{"text": "second"}])


async def test_a_conditional_create_sees_the_records_of_its_patient_alone(honest: Pair) -> None:
    gateway, server = honest
    named = {"identifier": [{"system": "urn:x", "value": "7"}]}
    server.put(observation("pat-b", "of-b", **named))
    criteria = {"if_none_exist": "identifier=urn:x|7"}
    created = await write(gateway, "POST", "/Observation", observation(**named), "patient/Observation.cs", **criteria)
    again = await write(gateway, "POST", "/Observation", observation(**named), "patient/Observation.cs", **criteria)
    assert (created.status_code, again.status_code) == (201, 200)
    assert created.headers["location"] == again.headers["content-location"]
    assert (created.content, again.content) == (b"", b"")


@contextlib.asynccontextmanager
async def _pair(habits: Habits, folder: Path, **writes: bool) -> AsyncIterator[Pair]:
    async with (
        record_server(habits) as server,
        running_gateway(server.base_url, folder, writes=writes) as gateway,
    ):
        fill(server)
        assert (await gateway.request("/metadata", None)).status_code == 200
        yield gateway, server


UNTIED = {
    "an update without versions": (Habits(versions=False), "PUT", observation("pat-a", "o-a"), "version_unknown"),
    "a patch without versions": (Habits(versions=False), "PATCH", replace("/status", "amended"), "version_unknown"),
    "a delete without conditional deletes": (
        Habits(declares_conditional_delete=False),
        "DELETE",
        None,
        "race_not_excluded",
    ),
    "a delete where criteria are ignored": (Habits(criteria=False), "DELETE", None, "race_not_excluded"),
    "a delete where the first page shows it alone": (
        Habits(criteria=False, page_size=1),
        "DELETE",
        None,
        "race_not_excluded",
    ),
}


@pytest.mark.parametrize(("habits", "method", "body", "reason"), UNTIED.values(), ids=UNTIED)
async def test_a_write_that_cannot_be_tied_to_its_check_is_refused(
    habits: Habits, method: str, body: object, reason: str, tmp_path: Path
) -> None:
    async with _pair(habits, tmp_path) as (gateway, server):
        response = await write(gateway, method, "/Observation/o-a", body)
        assert (response.status_code, reason_of(response)) == (403, reason)
        assert server.take_writes() == []
        everywhere = await write(gateway, method, "/Observation/o-a", body, "system/*.cruds")
        assert everywhere.status_code < 300


async def test_an_operator_may_accept_the_race(tmp_path: Path) -> None:
    habits = Habits(versions=False, declares_conditional_delete=False)
    async with _pair(habits, tmp_path, accept_races=True) as (gateway, server):
        new = await write(gateway, "PUT", "/Observation/none", observation("pat-a", "none"))
        changed = await write(gateway, "PUT", "/Observation/o-a", observation("pat-a", "o-a"))
        deleted = await write(gateway, "DELETE", "/Observation/o-a")
        foreign = await write(gateway, "PUT", "/Observation/o-b", observation("pat-a", "o-b"), EVERYTHING)
        assert not any(record.overtaken for record in gateway.telemetry.records)
        assert [new.status_code, changed.status_code, deleted.status_code, foreign.status_code] == [201, 200, 204, 404]
        assert ("Observation", "o-a") not in server.records


async def test_a_race_that_is_accepted_is_in_the_audit(tmp_path: Path) -> None:
    async with _pair(Habits(), tmp_path, accept_races=True) as (gateway, server):
        server.before_write = lambda: server.put(observation("pat-b", "none"))
        assert (await write(gateway, "PUT", "/Observation/none", observation("pat-a", "none"))).status_code == 200
        assert gateway.telemetry.records[-1].overtaken
