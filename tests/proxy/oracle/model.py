"""What a request must come to, said as plainly as possible: a dictionary of records and a list of rules."""

from dataclasses import replace

from tests.proxy.oracle.model_of_binaries import expect_binary
from tests.proxy.oracle.model_of_writes import WRITES, expect_validation, expect_write, find_by_condition
from tests.proxy.oracle.rules import finds, sees, using
from tests.proxy.oracle.world import Action, App, Bundle, Expected, Key, Record, World, current, records_of_type

_DONE = {200, 201, 204}


def expect(
    world: World, app: App, action: Action, *, ignores_criteria: bool, together: frozenset[Key] = frozenset()
) -> Expected:
    """What becomes of one request. `together` are the records that its transaction deletes."""
    if action.resource_type == "Binary":
        return expect_binary(world, app, action, ignores_criteria=ignores_criteria)
    if action.kind in WRITES:
        return expect_write(world, app, action, ignores_criteria=ignores_criteria, together=together)
    if action.kind == "validate":
        return expect_validation(world, app, action)
    if action.kind == "everything":
        return _expect_everything(world, app, action.name, ignores_criteria=ignores_criteria)
    if action.kind in {"search", "type history"}:
        finding = using(app, "s", action.resource_type)
        if not finding:
            return Expected(403, world)
        if action.kind == "search":
            return Expected(200, world, _search(world, finding, action, ignores_criteria=ignores_criteria))
        return Expected(200, world, _type_history(world, finding, action.resource_type))
    return _expect_read(world, app, action)


def _expect_read(world: World, app: App, action: Action) -> Expected:
    """A read, a version, a history or `$meta`: each needs that the record can be read as it is now."""
    reading = using(app, "r", action.resource_type)
    if not reading:
        return Expected(403, world)
    stored = current(world, action.key)
    if stored is None or not any(sees(unit, stored) for unit in reading):
        return Expected(404, world)
    versions = world[action.key]
    shown = tuple(
        (action.key, version) for version in versions if version is None or any(sees(unit, version) for unit in reading)
    )
    match action.kind:
        case "read":
            return Expected(200, world, ((action.key, stored),))
        case "meta":
            return Expected(200, world)
        case "history":
            return Expected(200, world, shown)
        case _:
            asked = versions[action.version - 1] if action.version <= len(versions) else None
            if asked is None or (action.key, asked) not in shown:
                return Expected(404, world)
            return Expected(200, world, ((action.key, asked),))


def _search(
    world: World, finding: App, action: Action, *, ignores_criteria: bool
) -> tuple[tuple[Key, Record | None], ...]:
    found = records_of_type(world, action.resource_type)
    return tuple(
        (key, record)
        for key, record in found.items()
        if any(finds(unit, record, ignores_criteria=ignores_criteria) for unit in finding)
        and action.name in ("", key[1])
        and (ignores_criteria or action.identifier in ("", record["identifier"]))
    )


def _type_history(world: World, finding: App, resource_type: str) -> tuple[tuple[Key, Record | None], ...]:
    """Versions that could be found, of records that can be found now.

    Who may find every record of the type sees the deleted ones as well, and when they were deleted.
    """
    finds_all = any(unit.patient is None and unit.category is None for unit in finding)
    shown = list[tuple[Key, Record | None]]()
    for key, versions in world.items():
        if key[0] == resource_type:
            now = current(world, key)
            is_found = now is not None and any(sees(unit, now) for unit in finding)
            shown += [
                (key, version)
                for version in versions
                if finds_all or (is_found and version is not None and any(sees(unit, version) for unit in finding))
            ]
    return tuple(shown)


def _expect_everything(world: World, app: App, patient: str, *, ignores_criteria: bool) -> Expected:
    """`Patient/[id]/$everything`: what can be both read and found of what the server has of the patient."""
    reading, finding = (using(app, letter, "Patient") for letter in "rs")
    if not reading or not finding:
        return Expected(403, world)
    if not any(unit.patient in (None, patient) for unit in reading):
        return Expected(404, world)
    shown = list[tuple[Key, Record | None]]()
    for resource_type in ("Observation", "Encounter"):
        for key, record in records_of_type(world, resource_type).items():
            is_about = patient in (record["subject"], *record.get("performers", ()))
            by_letter = (using(app, letter, resource_type) for letter in "rs")
            if (is_about or ignores_criteria) and all(any(sees(unit, record) for unit in units) for units in by_letter):
                shown.append((key, record))
    return Expected(200, world, tuple(shown))


def expect_batch(world: World, app: App, bundle: Bundle, *, ignores_criteria: bool) -> list[Expected]:
    """What becomes of the entries of a batch, none of which is about what another one changes."""
    return [expect(world, app, action, ignores_criteria=ignores_criteria) for action in bundle.actions]


def expect_transaction(
    world: World, app: App, bundle: Bundle, *, ignores_criteria: bool
) -> tuple[set[int], list[Expected], World]:
    """The statuses with which the whole is refused (none if it is done), its entries, and the world afterwards."""
    ignores = ignores_criteria
    together = _find_deleted(world, app, bundle, ignores_criteria=ignores)
    at_first = [expect(world, app, action, ignores_criteria=ignores, together=together) for action in bundle.actions]
    is_write = [action.kind in WRITES for action in bundle.actions]
    refused = {
        outcome.status
        for outcome, writes in zip(at_first, is_write, strict=True)
        if outcome.status not in _DONE and (writes or outcome.status == 403)
    }
    if refused:
        return refused, [], world
    afterwards = merge(world, [outcome.world for outcome in at_first])
    # What is read is read after the writes.
    outcomes = [
        outcome if writes else expect(afterwards, app, action, ignores_criteria=ignores)
        for outcome, writes, action in zip(at_first, is_write, bundle.actions, strict=True)
    ]
    return refused, [replace(outcome, world=afterwards) for outcome in outcomes], afterwards


def _find_deleted(world: World, app: App, bundle: Bundle, *, ignores_criteria: bool) -> frozenset[Key]:
    """The records that a transaction deletes, by name or by condition."""
    deletes = [action for action in bundle.actions if action.kind == "delete"]
    named = {action.key for action in deletes if action.name}
    conditions = [action for action in deletes if not action.name]
    met = [find_by_condition(world, app, action, ignores_criteria=ignores_criteria) for action in conditions]
    return frozenset(named.union(*met))


def merge(world: World, outcomes: list[World]) -> World:
    """The world after all of these writes, each of which changes another record."""
    merged = dict(world)
    for outcome in outcomes:
        for key, versions in outcome.items():
            if key not in world:
                merged[key if key not in merged else (key[0], new_name(merged))] = versions
            elif versions != world[key]:
                merged[key] = versions
    return merged


def new_name(world: World) -> str:
    """What stands for the id that the server gives to the next record."""
    return f"new-{len(world)}"
