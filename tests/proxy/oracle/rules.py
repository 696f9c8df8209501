"""Who may do what with a record: the rules of reading, finding and holding."""

from tests.proxy.oracle.world import App, Record, Unit, World, current


def using(app: App, letter: str, resource_type: str) -> App:
    """The scopes of an app that have the letter for the type."""
    return tuple(unit for unit in app if letter in unit.letters and unit.covers(resource_type))


def names(record: Record) -> list[str]:
    """Everybody whom a record names."""
    return [record["subject"], *record.get("performers", ())]


def sees(unit: Unit, record: Record) -> bool:
    """Whether a unit shows a record: it names the patient, and is of the category."""
    return unit.patient in (None, *names(record)) and unit.category in (None, record.get("category"))


def finds(unit: Unit, record: Record, *, ignores_criteria: bool) -> bool:
    """Whether a search of the unit finds a record: the server is asked for those that are about the patient."""
    return sees(unit, record) and (ignores_criteria or unit.patient in (None, record["subject"]))


def may_hold(unit: Unit, record: Record) -> bool:
    """Whether a unit permits to change a record, or to make it like this: it names nobody else either."""
    return sees(unit, record) and (unit.patient is None or all(one in (unit.patient, "room") for one in names(record)))


def refers_inside(unit: Unit, record: Record, known: str | None, world: World) -> bool:
    """Whether the encounter to which a record refers is the patient's. `known` is what it referred to before."""
    encounter = record.get("encounter")
    if unit.patient is None or encounter in (None, known):
        return True
    target = current(world, ("Encounter", encounter))
    return target is not None and target["subject"] == unit.patient
