"""Plays a sequence against a gateway and the model at once, and says where they differ."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any, Protocol

import httpx2

from tests.proxy.leaked_marks import link_of
from tests.proxy.oracle.answers import Answer, fits, read_answer, read_entry
from tests.proxy.oracle.model import expect, expect_batch, expect_transaction, merge
from tests.proxy.oracle.model_of_writes import WRITES
from tests.proxy.oracle.resources import Names, Request, normalise, to_bundle, to_request
from tests.proxy.oracle.strategies import Pair, Sequence, is_independent
from tests.proxy.oracle.world import Action, App, Bundle, Expected, Key, Record, World, current, is_given
from tests.proxy.running_gateway import RunningGateway
from tests.servers.people import Resource

_FHIR, _PATCH = "application/fhir+json", "application/json-patch+json"
# How a write is refused when somebody else was quicker.
_OVERTAKEN = {404, 412}
_REJECTED = 400


class Store(Protocol):
    """The FHIR server, as the oracle sets it up and looks at it, without the gateway."""

    ignores_criteria: bool

    async def load(self, resources: list[Resource]) -> None:
        """Hold these records, and none that a sequence before has made."""

    async def version_of(self, resource_type: str, resource_id: str) -> str | None:
        """The current version."""

    def pause(self, pauses: list[int]) -> None:
        """Take this long for each of the next requests."""

    async def list_records(self, names: Names) -> list[Resource]:
        """All records of the example but the patients, as they are now."""


class Play:
    """A gateway, the server behind it, and how many requests were compared."""

    def __init__(self, gateway: RunningGateway, store: Store, *, is_shared: bool = False) -> None:
        """`is_shared` says that the server keeps the records of every example, and may check contents by itself."""
        self.requests = 0
        self._gateway = gateway
        self._store = store
        self._is_shared = is_shared
        self._examples = itertools.count()

    def __repr__(self) -> str:
        return "play"  # so that a counterexample shows the sequence alone

    async def compare(self, sequence: Sequence) -> None:
        """Ask everything, one after the other."""
        world, apps, steps = sequence
        names = await self._load(world)
        for number, asked in steps:
            before, app = world, apps[number]
            if isinstance(asked, Action):
                outcome = expect(world, app, asked, ignores_criteria=self._store.ignores_criteria)
                answer = await self._ask(app, asked, names)
                if answer.status == _REJECTED and self._may_be_rejected(asked, outcome):
                    outcome = Expected(_REJECTED, before)
                _require(fits(answer, outcome), before, app, asked, expected=outcome, answer=answer)
                world = outcome.world
                _learn_new(before, [outcome], [answer], names)
            elif is_independent(world, asked):
                world = await self._compare_bundle(world, app, asked, names)
            stored = await self._list_state(names)
            _require(stored == _state(world), before, app, asked, expected=_state(world), stored=stored)

    async def compare_at_once(self, pair: Pair) -> None:
        """Two writes at the same time come to one after the other, or to one of them alone."""
        world, apps, actions, pauses = pair
        names = await self._load(world)
        requests = [await self._prepare(action, names) for action in actions]
        self._store.pause(pauses)
        answers = await asyncio.gather(
            *(
                self._send(app, action, request, names)
                for app, action, request in zip(apps, actions, requests, strict=True)
            )
        )
        stored = await self._list_state(names)
        is_right = any(
            stored == _state(after) and all(answer.status in one for answer, one in zip(answers, statuses, strict=True))
            for statuses, after in self._expect_in_turn(world, apps, actions)
        )
        _require(is_right, world, apps, actions, answers=answers, stored=stored)

    def _expect_in_turn(
        self, world: World, apps: tuple[App, App], actions: tuple[Action, Action]
    ) -> Iterator[tuple[tuple[set[int], set[int]], World]]:
        """The statuses and the outcome of either order, and those where one write is overtaken and does nothing.

        What is to be deleted and was just deleted is gone as well. What a condition means is found before the write, so
        that a write of another record, which meets the condition only then, may come between.
        """
        ignores = self._store.ignores_criteria
        are_deletes = {action.kind for action in actions} == {"delete"}
        for first, second in ((0, 1), (1, 0)):
            one = expect(world, apps[first], actions[first], ignores_criteria=ignores)
            other = expect(one.world, apps[second], actions[second], ignores_criteria=ignores)
            overtaken = _OVERTAKEN | ({one.status} if are_deletes else set())
            for statuses, after in (({other.status}, other.world), (overtaken, one.world)):
                yield (({one.status}, statuses) if first == 0 else (statuses, {one.status})), after
        if any(action.identifier and action.kind != "create" for action in actions):
            one, other = (expect(world, apps[n], actions[n], ignores_criteria=ignores) for n in (0, 1))
            if _changed(world, one.world).isdisjoint(_changed(world, other.world)):
                yield ({one.status}, {other.status}), merge(world, [one.world, other.world])

    async def _load(self, world: World) -> Names:
        names = Names(f"x{next(self._examples)}-" if self._is_shared else "")
        await self._store.load(
            [names.to_resource(key, versions[-1]) for key, versions in world.items() if versions[-1]]
        )
        return names

    async def _compare_bundle(self, world: World, app: App, bundle: Bundle, names: Names) -> World:
        requests = [await self._prepare(action, names) for action in bundle.actions]
        response = await self._send_request(app, Request("POST", "/", {}, to_bundle(bundle, requests)))
        self.requests += len(requests)
        options = {"ignores_criteria": self._store.ignores_criteria}
        if bundle.kind == "batch":
            outcomes = expect_batch(world, app, bundle, **options)
            after = merge(world, [outcome.world for outcome in outcomes])
        else:
            refused, outcomes, after = expect_transaction(world, app, bundle, **options)
            if any(self._may_be_rejected(*one) for one in zip(bundle.actions, outcomes, strict=False)):
                refused = refused | ({_REJECTED} & {response.status_code})
            if refused:
                _require(response.status_code in refused, world, app, bundle, expected=refused, answer=response.text)
                return world
        _require(response.status_code == 200, world, app, bundle, expected=outcomes, answer=response.text)
        parts = response.json()["entry"]
        answers = [read_entry(action.kind, part, names) for action, part in zip(bundle.actions, parts, strict=True)]
        for action, answer, outcome in zip(bundle.actions, answers, outcomes, strict=True):
            _require(fits(answer, outcome), world, app, bundle, entry=action, expected=outcome, answer=answer)
        made = iter(key for key in after if key not in world and key[1].startswith("new-"))
        for action, answer in zip(bundle.actions, answers, strict=True):
            if answer.status == 201 and not action.name and answer.resource_id:
                names.learn(next(made), answer.resource_id)
        return after

    def _may_be_rejected(self, action: Action, outcome: Expected) -> bool:
        """Whether a server may reject a create that does not meet its condition, as HAPI does.

        The scopes that find decide on the condition, and those that write on the content.
        """
        return self._is_shared and bool(action.identifier) and outcome.status == 201

    async def _prepare(self, action: Action, names: Names) -> Request:
        version = None
        if action.is_current is not None:
            version = await self._store.version_of(action.resource_type, names.id_of(action.key))
        return to_request(action, names, version)

    async def _ask(self, app: App, action: Action, names: Names) -> Answer:
        return await self._send(app, action, await self._prepare(action, names), names)

    async def _send(self, app: App, action: Action, request: Request, names: Names) -> Answer:
        response = await self._send_request(app, request)
        pages = [response.json()] if response.content else []
        while response.status_code == 200 and (
            link := link_of(response, "next") if action.kind not in WRITES else None
        ):
            response = await self._send_request(app, Request("GET", link.removeprefix(self._gateway.base_url), {}))
            pages.append(response.json())
        return read_answer(action.kind, response, pages, names)

    async def _send_request(self, app: App, request: Request) -> httpx2.Response:
        self.requests += 1
        scope, options = " ".join(unit.scope for unit in app), dict[str, Any]()
        if request.body is not None:
            options["json"] = request.body
        content_type = _PATCH if request.method == "PATCH" else _FHIR
        headers = {"accept": _FHIR, **request.headers}
        if request.body is not None:
            headers["content-type"] = content_type
        return await self._gateway.request(
            request.path, scope, method=request.method, headers=headers, claims={"patient": app[0].patient}, **options
        )

    async def _list_state(self, names: Names) -> list[str]:
        return sorted(_describe(*names.read(resource)) for resource in await self._store.list_records(names))


def _changed(before: World, after: World) -> set[Key]:
    """The records that existed before and are other ones afterwards."""
    return {key for key, versions in before.items() if after[key] != versions}


def _require(condition: bool, world: World, asking: Any, asked: Any, **found: Any) -> None:
    """Raises `AssertionError`, with what was there and what was asked before what was found."""
    if not condition:
        lines = {"there was": world, "who asked": asking, "what was asked": asked, **found}
        raise AssertionError("\n".join(["a difference", *(f"  {name}: {value}" for name, value in lines.items())]))


def _describe(key: Key, record: Record | None) -> str:
    """A record as a text. Which of the new ones it is does not matter: their ids are the server's."""
    name = key[1] if is_given(key[1]) else "new"
    return f"{key[0]}/{name} {sorted((normalise(record) or {}).items())}"


def _state(world: World) -> list[str]:
    return sorted(_describe(key, current(world, key)) for key in world if current(world, key) is not None)


def _learn_new(before: World, outcomes: list[Expected], answers: list[Answer], names: Names) -> None:
    for outcome, answer in zip(outcomes, answers, strict=True):
        made = [key for key in outcome.world if key not in before and key[1].startswith("new-")]
        if made and answer.resource_id:
            names.learn(made[0], answer.resource_id)
