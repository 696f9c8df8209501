"""What becomes of a write, as one function of what is stored."""

from tests.proxy.oracle.rules import finds, may_hold, refers_inside, sees, using
from tests.proxy.oracle.world import (
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

WRITES = {"create": "c", "update": "u", "patch": "u", "delete": "d"}


def expect_write(
    world: World, app: App, action: Action, *, ignores_criteria: bool, together: frozenset[Key] = frozenset()
) -> Expected:
    """What becomes of a write. `together` are the records that its transaction deletes."""
    writing = using(app, WRITES[action.kind], action.resource_type)
    finding = using(app, "s", action.resource_type)
    if not writing or (action.identifier and not finding):
        return Expected(403, world)
    if action.kind in {"create", "update"} and not any(may_hold(unit, _content(action)) for unit in writing):
        return Expected(403, world)
    key: Key | None = action.key if action.name else None
    if action.identifier:
        found = find_by_condition(world, app, action, ignores_criteria=ignores_criteria)
        if len(found) > 1:
            return Expected(412, world)
        key = found[0] if found else None
        if key is None and action.kind in {"delete", "patch"}:
            return Expected({"delete": 204, "patch": 404}[action.kind], world)
        if key is not None and action.kind == "create":
            return _show(world, app, key, 200)
    if key is None:
        return _create(world, app, action, writing)
    return _change(world, app, action, key, ignores_criteria=ignores_criteria, together=together)


def find_by_condition(world: World, app: App, action: Action, *, ignores_criteria: bool) -> list[Key]:
    """The records that the condition of a write means, as far as the app may find them."""
    finding = using(app, "s", action.resource_type)
    return [
        found
        for found, record in records_of_type(world, action.resource_type).items()
        if record["identifier"] == action.identifier
        and any(finds(unit, record, ignores_criteria=ignores_criteria) for unit in finding)
    ]


def expect_validation(world: World, app: App, action: Action) -> Expected:
    """`$validate` of a new record: it tells nothing of what a create of it would not tell."""
    content = _content(action)
    creating = using(app, "c", action.resource_type)
    is_possible = any(may_hold(unit, content) and refers_inside(unit, content, None, world) for unit in creating)
    return Expected(200 if is_possible else 403, world)


def _content(action: Action) -> Record:
    assert action.content is not None
    return action.content


def _create(world: World, app: App, action: Action, writing: App) -> Expected:
    content = _content(action)
    if not any(may_hold(unit, content) and refers_inside(unit, content, None, world) for unit in writing):
        return Expected(403, world)
    key = (action.resource_type, f"new-{len(world)}")
    return _show(with_version(world, key, content), app, key, 201)


def _change(
    world: World, app: App, action: Action, key: Key, *, ignores_criteria: bool, together: frozenset[Key]
) -> Expected:
    writing = using(app, WRITES[action.kind], action.resource_type)
    stored = current(world, key)
    if stored is None:
        # An update may create only where the app may change whatever another client creates at the same time.
        is_free = any(unit.patient is None and unit.category is None for unit in writing)
        if action.kind == "update" and is_free and action.is_current is None:
            return _show(with_version(world, key, _content(action)), app, key, 201)
        return Expected(404, world)
    permitting = [unit for unit in writing if may_hold(unit, stored)]
    if not permitting:
        return Expected(404, world)
    if action.is_current is False:
        return Expected(412, world)
    if action.kind == "delete":
        others = set(records_of_type(world, key[0])) - {key} if ignores_criteria else set[Key]()
        if all(unit.category for unit in writing):
            # They are looked for by other criteria than what is of another category.
            together = frozenset(one for one in together if _category(world, one) == stored.get("category"))
        return _delete(world, key, permitting, finds_others=bool(others - together))
    readable = (*using(app, "r", key[0]), *using(app, "s", key[0]))
    was_readable = any(sees(unit, stored) for unit in readable)
    new = referring = _content(action)
    if action.kind == "patch":
        new = {**stored, **new}
        if was_readable:
            referring = new
        elif not _decisive_elements((*writing, *readable)).isdisjoint(referring) or any(
            sees(unit, new) for unit in readable
        ):
            # Whether it is refused would tell what is stored, or what is stored could be read then.
            return Expected(403, world)
    known = stored.get("encounter") if was_readable else None
    if not any(may_hold(unit, new) and refers_inside(unit, referring, known, world) for unit in permitting):
        return Expected(403, world)
    return _show(with_version(world, key, new), app, key, 200)


def _decisive_elements(units: App) -> set[str]:
    """The elements by which a scope is limited."""
    of_patients = {"subject", "performers"} if any(unit.patient for unit in units) else set[str]()
    return of_patients | ({"category"} if any(unit.category for unit in units) else set())


def _category(world: World, key: Key) -> str | None:
    return (current(world, key) or {}).get("category")


def _delete(world: World, key: Key, permitting: list[Unit], *, finds_others: bool) -> Expected:
    """A delete is tied to what was checked by a search, unless the app may delete whatever stands there.

    `finds_others` says that the search finds records that the request does not delete.
    """
    stored = current(world, key)
    assert stored is not None
    if not any(unit.patient is None and unit.category is None for unit in permitting):
        # The search does not find what only mentions the patient.
        is_about = any(unit.patient in (None, stored["subject"]) for unit in permitting)
        if not is_about or finds_others:
            return Expected(403, world)
    return Expected(204, with_version(world, key, None))


def _show(world: World, app: App, key: Key, status: int) -> Expected:
    """The response to a write shows the record if it may be read."""
    record = current(world, key)
    assert record is not None
    is_shown = any(sees(unit, record) for unit in using(app, "r", key[0]))
    return Expected(status, world, ((key, record),) if is_shown else ())
