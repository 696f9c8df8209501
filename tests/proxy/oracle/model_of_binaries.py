"""What becomes of a request for a Binary, whose owner is a patient, an encounter or nobody."""

from tests.proxy.oracle.rules import sees, using
from tests.proxy.oracle.world import (
    PATIENTS,
    Action,
    App,
    Expected,
    Key,
    Record,
    Unit,
    World,
    current,
    records_of_type,
    with_version,
)

_LETTERS = {"create": "c", "update": "u", "delete": "d"}


def expect_binary(world: World, app: App, action: Action, *, ignores_criteria: bool) -> Expected:
    """What becomes of a read or a write of a Binary."""
    if action.kind == "read":
        return _expect_read(world, app, action.key)
    writing = using(app, _LETTERS[action.kind], "Binary")
    if not writing:
        return Expected(403, world)
    if action.kind == "create":
        return _store(world, app, ("Binary", f"new-{len(world)}"), action, list(writing), 201)
    stored = current(world, action.key)
    if stored is None:
        # An update may create only where the app may change whatever another client creates at the same time.
        is_free = any(unit.patient is None for unit in writing)
        if action.kind == "update" and is_free and action.is_current is None:
            return _store(world, app, action.key, action, list(writing), 201)
        return Expected(404, world)
    permitting = [unit for unit in writing if _owns(unit, stored, world)]
    if not permitting:
        return Expected(404, world)
    if action.is_current is False:
        return Expected(412, world)
    if action.kind == "update":
        return _store(world, app, action.key, action, permitting, 200)
    # A delete is tied to the version by a search, unless the app may delete whatever stands there.
    is_tied = not any(unit.patient is None for unit in permitting)
    if is_tied and ignores_criteria and len(records_of_type(world, "Binary")) > 1:
        return Expected(403, world)
    return Expected(204, with_version(world, action.key, None))


def _expect_read(world: World, app: App, key: Key) -> Expected:
    if not using(app, "r", "Binary"):
        return Expected(403, world)
    stored = current(world, key)
    if stored is None or not _is_shown(world, app, stored):
        return Expected(404, world)
    return Expected(200, world, ((key, stored),))


def _store(world: World, app: App, key: Key, action: Action, writing: list[Unit], status: int) -> Expected:
    content = action.content
    assert content is not None
    if not any(_owns(unit, content, world) for unit in writing):
        return Expected(403, world)
    shown = ((key, content),) if _is_shown(world, app, content) else ()
    return Expected(status, with_version(world, key, content), shown)


def _owns(unit: Unit, record: Record, world: World) -> bool:
    """Whether the owner is the patient of the unit, or an encounter of theirs."""
    return unit.patient is None or unit.patient == _patient_of(record, world)


def _is_shown(world: World, app: App, record: Record) -> bool:
    """Whether the app may read the Binary: all of them, or those whose owner it may read or find."""
    reading = using(app, "r", "Binary")
    if any(unit.patient is None for unit in reading):
        return True
    owner = record.get("owner")
    if not any(_owns(unit, record, world) for unit in reading) or owner is None:
        return False
    if owner in PATIENTS:
        return any(using(app, letter, "Patient") for letter in "rs")
    encounter = current(world, ("Encounter", owner))
    return encounter is not None and any(sees(unit, encounter) for x in "rs" for unit in using(app, x, "Encounter"))


def _patient_of(record: Record, world: World) -> str | None:
    owner = record.get("owner")
    if owner is None or owner in PATIENTS:
        return owner
    encounter = current(world, ("Encounter", owner))
    return None if encounter is None else encounter["subject"]
