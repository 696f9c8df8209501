"""App state of two workers with one Redis: they answer like a dictionary and a list of rules, and lose no update."""

import asyncio
import dataclasses
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.servers import valkey
from tests.servers.valkey import RunningStore
from tests.smart_server.app_states import LIMITS, ORIGIN, PATIENT_SCOPE, USER_SCOPE, StateApp, keep_app_state, state_app
from tests.smart_server.running_server import RunningServer
from tests.smart_server.worker_processes import run_workers

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

STEPS = 400
A, B, DOCTOR = "Patient/pat-a", "Patient/pat-b", "Practitioner/practitioner-1"
SUBJECTS, CODES = (A, B, DOCTOR, None), ("preferences", "other")


@dataclass(frozen=True)
class Caller:
    """An app with a token at each worker, and what it may do: subjects with letters, and codes."""

    apps: tuple[StateApp, ...]
    may: dict[str | None, str]
    codes: tuple[str, ...] = CODES


@dataclass
class Pair:
    """A server of two workers."""

    server: RunningServer
    roots: list[str]

    async def caller(self, client_id: str, scope: str, may: dict[str | None, str], **options: Any) -> Caller:
        """An app that uses both workers with one token."""
        codes = options.pop("codes", CODES)
        app = await state_app(self.server, client_id, scope, **options)
        return Caller(tuple(dataclasses.replace(app, url=f"{root}/app-state") for root in self.roots), may, codes)


@pytest.fixture(scope="module")
def store() -> Iterator[RunningStore]:
    with valkey.standalone() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(fhir_server: str, store: RunningStore) -> AsyncIterator[Pair]:
    async with run_workers(fhir_server, store.url, change=keep_app_state) as (server, roots):
        yield Pair(server, roots)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def callers(pair: Pair) -> list[Caller]:
    narrow = f"launch/patient patient/Basic.cuds?code={ORIGIN}|preferences"
    return [
        await pair.caller("state-app", PATIENT_SCOPE, {A: "cuds"}),
        await pair.caller("sister-app", PATIENT_SCOPE, {B: "cuds"}, patient="pat-b"),
        await pair.caller("state-app", USER_SCOPE, {DOCTOR: "cuds", None: "s"}),
        await pair.caller("admin-app", USER_SCOPE, {DOCTOR: "cuds", None: "cuds"}),
        await pair.caller("companion-app", PATIENT_SCOPE, {A: "s"}),
        await pair.caller("foreign-app", PATIENT_SCOPE, {}),
        await pair.caller("state-app", "launch/patient patient/Basic.us", {A: "us"}),
        await pair.caller("sister-app", narrow, {A: "cuds"}, codes=("preferences",)),
    ]


@dataclass
class Model:
    """What is stored, by id: the resource, its subject and its code."""

    stored: dict[str, tuple[dict[str, Any], str | None, str]]

    def about(self, subject: str | None, code: str | None = None) -> list[dict[str, Any]]:
        """The resources about a subject, with a code or any."""
        return [tree for tree, about, its_code in self.stored.values() if about == subject and code in (None, its_code)]


@pytest.mark.requirement("AS-4", "AS-6", "AS-8", "AS-11", "AS-12", "AS-14")
@pytest.mark.parametrize("seed", [1, 2])
async def test_two_workers_are_a_dictionary_and_a_list_of_rules(callers: list[Caller], seed: int) -> None:
    chance, model, statuses = random.Random(seed), Model({}), Counter[tuple[str, int]]()
    known = ["0" * 32 + "-" + "0" * 16]
    for _ in range(STEPS):
        caller = chance.choice(callers)
        app, subject, code = chance.choice(caller.apps), chance.choice(SUBJECTS), chance.choice(CODES)
        action = chance.choice(["create", "search", "search", "update", "update", "delete"])
        if action == "search":
            expected = 200 if "s" in caller.may.get(subject, "") else 403
            response = await app.search(subject, code=code)
            if expected == 200:
                found = [entry["resource"] for entry in response.json().get("entry", [])]
                assert found == (model.about(subject, code) if code in caller.codes else [])
        elif action == "create":
            is_full = len(model.about(subject)) >= LIMITS["max_resources"]
            may = "c" in caller.may.get(subject, "") and code in caller.codes
            expected = 403 if not may else 422 if is_full else 201
            response = await app.create(subject, code=code, text=f"{chance.random()}")
            if response.status_code == 201:
                model.stored[response.json()["id"]] = response.json(), subject, code
                known.append(response.json()["id"])
        else:
            state_id, version = chance.choice(known[-8:]), str(chance.randint(1, 3))
            tree, about, its_code = model.stored.get(state_id, (None, None, ""))
            letter = action[0]
            if tree is None:
                tree = app.body(A, id=state_id)
                fits = False
            else:
                fits = tree["meta"]["versionId"] == version
                fits = fits and letter in caller.may.get(about, "") and its_code in caller.codes
            has_scope = any(letter in letters for letters in caller.may.values()) or _has_letter(caller, callers)
            expected = 403 if not has_scope else 412 if not fits else 200 if action == "update" else 204
            if action == "update":
                changed = [{"url": ORIGIN, "valueString": f"{chance.random()}"}]
                response = await app.update(tree, f'W/"{version}"', extension=changed)
                if response.status_code == 200:
                    new = response.json()
                    assert new["meta"]["versionId"] == str(int(version) + 1)
                    assert {**new, "meta": None} == {**tree, "meta": None, "extension": changed}
                    model.stored[state_id] = new, about, its_code
            else:
                response = await app.delete(tree, f'W/"{version}"')
                if response.status_code == 204:
                    del model.stored[state_id]
        assert response.status_code == expected, (action, caller.may, subject, response.text)
        statuses[action, expected] += 1
    assert {("create", 201), ("update", 200), ("delete", 204), ("update", 412), ("create", 403)} <= statuses.keys()
    await _empty(callers)


def _has_letter(caller: Caller, callers: list[Caller]) -> bool:
    """Whether the scopes have every letter, although the app may not use them: the foreign app and the companion."""
    return caller in (callers[4], callers[5])


async def _empty(callers: list[Caller]) -> None:
    for caller in callers[:4]:
        for subject in caller.may:
            for code in CODES:
                for stored in await caller.apps[0].found(subject, code=code):
                    await caller.apps[0].delete(stored)


@pytest.mark.requirement("AS-8")
async def test_of_updates_of_one_version_at_two_workers_at_once_one_succeeds(callers: list[Caller]) -> None:
    apps = callers[0].apps
    stored = (await apps[0].create()).json()
    for _ in range(10):
        updates = [apps[index % 2].update(stored, text={"status": "empty"}) for index in range(8)]
        responses = await asyncio.gather(*updates)
        assert Counter(response.status_code for response in responses) == {200: 1, 412: 7}
        (stored,) = await apps[1].found()
    assert (await apps[1].delete(stored)).status_code == 204
