"""Random records, two apps, and sequences of their requests."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.proxy.oracle.model_of_writes import WRITES
from tests.proxy.oracle.world import PATIENTS, Action, App, Bundle, Key, Record, Unit, World

Step = tuple[int, Action | Bundle]
Sequence = tuple[World, tuple[App, App], list[Step]]
Pair = tuple[World, tuple[App, App], tuple[Action, Action], list[int]]

READS = ("read", "version", "history", "meta", "search", "type history", "everything", "validate")


@dataclass(frozen=True)
class Repertoire:
    """What sequences are made of: the kinds of requests that read, the types that are written, encounters and Binaries.

    `is_alone` says that the server holds nothing else, so that all records of a type can be searched.
    """

    reads: tuple[str, ...] = READS
    written: tuple[str, ...] = ("Observation", "Observation", "Observation", "Encounter")
    subjects: tuple[str, ...] = ("pat-a", "pat-a", "pat-a", "pat-b", "room")
    encounters: tuple[str, ...] = ("e1", "e1", "e2", "none")
    binaries: tuple[str, ...] = ("b1", "b2")
    is_alone: bool = True


EVERYTHING = Repertoire()

_CATEGORIES = ("laboratory", "vital-signs")
_NAMES = {"Observation": ("r1", "r2", "r3"), "Encounter": ("e1", "e2")}
_current = st.sampled_from((None, None, None, True, False))
_identifiers = st.sampled_from(("1", "2"))


def contents(resource_type: str, repertoire: Repertoire) -> st.SearchStrategy[Record]:
    """What a record of the type says."""
    if resource_type == "Encounter":
        return st.fixed_dictionaries({"subject": st.sampled_from(("pat-a", *PATIENTS)), "identifier": _identifiers})
    return st.fixed_dictionaries(
        {
            "subject": st.sampled_from(repertoire.subjects),
            "category": st.sampled_from(_CATEGORIES),
            "identifier": _identifiers,
        },
        optional={
            "performers": st.lists(st.sampled_from(("pat-a", *PATIENTS)), max_size=1).map(tuple),
            "encounter": st.sampled_from(repertoire.encounters),
        },
    )


_owners = st.sampled_from(("pat-a", "pat-a", "pat-a", "e1", "e1", "pat-b", "e2", "none", None))
_binary_contents = st.builds(
    lambda data, owner: {"data": data} if owner is None else {"data": data, "owner": owner},
    st.sampled_from(("QQ==", "Qg==")),
    _owners,
)


@st.composite
def _binary_requests(draw: st.DrawFn, repertoire: Repertoire) -> Action:
    """A read or a write of a Binary."""
    kind = draw(st.sampled_from(("read", "read", "create", "update", "update", "delete")))
    name = "" if kind == "create" else draw(st.sampled_from(repertoire.binaries))
    content = draw(_binary_contents) if kind in {"create", "update"} else None
    is_current = draw(_current) if kind in {"update", "delete"} else None
    return Action(kind, "Binary", name, content=content, is_current=is_current)


def _changes(resource_type: str, repertoire: Repertoire) -> st.SearchStrategy[Record]:
    """What a patch adds or replaces: one element."""
    subjects = st.builds(lambda subject: {"subject": subject}, st.sampled_from(PATIENTS))
    if resource_type == "Encounter":
        return subjects
    encounters = st.sampled_from(repertoire.encounters)
    return st.one_of(
        subjects,
        st.builds(lambda category: {"category": category}, st.sampled_from(_CATEGORIES)),
        st.builds(lambda encounter: {"encounter": encounter}, encounters),
    )


@st.composite
def _writes(draw: st.DrawFn, repertoire: Repertoire) -> Action:
    resource_type = draw(st.sampled_from(repertoire.written))
    kind = draw(st.sampled_from(("create", "update", "update", "patch", "delete")))
    content = draw(_contents_of(kind, resource_type, repertoire))
    if draw(st.booleans()):
        identifier = draw(st.sampled_from("123"))
        if not repertoire.is_alone and content is not None and kind != "patch":
            # Some servers take a content that does not meet the condition for an error.
            content = {**content, "identifier": identifier}
        return Action(kind, resource_type, identifier=identifier, content=content)
    if kind == "create":
        return Action(kind, resource_type, content=content)
    name = draw(st.sampled_from(_NAMES[resource_type]))
    return Action(kind, resource_type, name, content=content, is_current=draw(_current))


def _contents_of(kind: str, resource_type: str, repertoire: Repertoire) -> st.SearchStrategy[Record | None]:
    if kind == "delete":
        return st.none()
    return _changes(resource_type, repertoire) if kind == "patch" else contents(resource_type, repertoire)


@st.composite
def _reads(draw: st.DrawFn, repertoire: Repertoire, kinds: tuple[str, ...]) -> Action:
    kind = draw(st.sampled_from(kinds))
    resource_type = draw(st.sampled_from(("Observation", "Observation", "Encounter")))
    match kind:
        case "everything":
            return Action(kind, "Patient", draw(st.sampled_from(PATIENTS)))
        case "validate":
            return Action(kind, resource_type, content=draw(contents(resource_type, repertoire)))
        case "type history":
            return Action(kind, resource_type)
        case "search":
            named = draw(st.sampled_from(("", _NAMES[resource_type][0])))
            return Action(
                kind,
                resource_type,
                named,
                draw(st.sampled_from(("", "1") if named or repertoire.is_alone else ("1", "2"))),
            )
        case _:
            version = draw(st.sampled_from((1, 1, 2, 3))) if kind == "version" else 0
            return Action(kind, resource_type, draw(st.sampled_from(_NAMES[resource_type])), version=version)


@st.composite
def _bundles(draw: st.DrawFn, repertoire: Repertoire) -> Bundle:
    """Several requests in one."""
    kind = draw(st.sampled_from(("batch", "transaction", "transaction")))
    if kind == "batch" and draw(st.booleans()):
        return Bundle(kind, tuple(draw(st.lists(_reads(repertoire, repertoire.reads), min_size=1, max_size=4))))
    some = st.one_of(_writes(repertoire), _writes(repertoire), _reads(repertoire, ("read", "meta")))
    if repertoire.binaries:
        some = st.one_of(some, some, some, _binary_requests(repertoire))
    return Bundle(kind, tuple(draw(st.lists(some, min_size=1, max_size=4))))


def is_independent(world: World, bundle: Bundle) -> bool:
    """Whether no entry is about what another one changes: of two about one record, one is refused or comes first."""
    actions, writes = bundle.actions, [action for action in bundle.actions if action.kind in WRITES]
    by_condition = {action.identifier for action in writes if action.identifier}
    targets = [action.name or action.identifier for action in actions if action.name or action.identifier]
    has_binary = any(action.resource_type == "Binary" for action in actions)
    if has_binary and any(action.resource_type == "Encounter" for action in writes):
        # It may be the owner.
        return False
    met = {
        key[1]
        for key, versions in world.items()
        if versions[-1] is not None and versions[-1].get("identifier") in by_condition
    }
    comes_to_meet = any(
        (action.content or {}).get("identifier") in by_condition - {action.identifier} for action in writes
    )
    if len(targets) != len(set(targets)) or not met.isdisjoint(targets) or comes_to_meet:
        return False
    if bundle.kind == "transaction" or len(writes) < 2:
        return True
    # The entries of a batch are carried out in any order.
    is_seen = any(action.resource_type == "Encounter" or action.kind == "delete" for action in writes)
    return not by_condition and not is_seen


_letters = st.one_of(
    st.just("cruds"),
    st.just("cruds"),
    st.just("cuds"),
    st.sets(st.sampled_from("cruds"), min_size=1).map(lambda some: "".join(x for x in "cruds" if x in some)),
)


@st.composite
def _apps(draw: st.DrawFn) -> App:
    """An app of one patient, or one for everybody."""
    patient = draw(st.sampled_from(("pat-a", "pat-a", "pat-a", "pat-b", None)))
    first = st.sampled_from(
        ("Observation", "Observation", "Encounter") if patient is None else ("Observation", "*", "*")
    )
    more = st.sampled_from(("Observation", "Encounter", "Binary", "Patient" if patient is None else "*"))
    units = list[Unit]()
    for resource_type in (draw(first), *draw(st.lists(more, max_size=2))):
        category = draw(st.sampled_from((None, None, *_CATEGORIES))) if resource_type == "Observation" else None
        letters = "rs" if resource_type == "Patient" else draw(_letters)
        units.append(Unit(patient, letters, resource_type, category))
    return tuple(units)


@st.composite
def worlds(draw: st.DrawFn, repertoire: Repertoire) -> World:
    """The records at first. Those that no request makes are all there."""
    chosen: dict[Key, Any] = {}
    for resource_type, names in _NAMES.items():
        is_there = st.sampled_from((True, True, True, False)) if resource_type in repertoire.written else st.just(True)
        for name in names:
            if draw(is_there):
                chosen[resource_type, name] = (draw(contents(resource_type, repertoire)),)
    for name in repertoire.binaries:
        if draw(st.sampled_from((True, True, True, False))):
            chosen["Binary", name] = (draw(_binary_contents),)
    return dict(sorted(chosen.items()))


def sequences(repertoire: Repertoire = EVERYTHING, *, max_size: int = 8) -> st.SearchStrategy[Sequence]:
    """Records, two apps, and what each of them asks in turn."""
    of_records = (_writes(repertoire), _writes(repertoire), _reads(repertoire, repertoire.reads), _bundles(repertoire))
    requests = st.one_of(*of_records, _binary_requests(repertoire)) if repertoire.binaries else st.one_of(*of_records)
    steps = st.lists(st.tuples(st.integers(0, 1), requests), min_size=1, max_size=max_size)
    return st.tuples(worlds(repertoire), st.tuples(_apps(), _apps()), steps)


_strong_apps = st.one_of(
    st.just((Unit("pat-a", "cruds", "*"),)),
    st.just((Unit("pat-a", "cruds", "*"),)),
    st.just((Unit("pat-a", "cruds", "*"),)),
    st.just((Unit("pat-a", "cuds", "Observation"),)),
    st.just((Unit("pat-b", "cruds", "*"),)),
    st.just((Unit(None, "cruds", "Observation"),)),
)


def _own_contents(resource_type: str, repertoire: Repertoire) -> st.SearchStrategy[Record]:
    """Contents that an app of patient A may write, more often than not."""
    plain = {"subject": "pat-a", "identifier": "1"}
    if resource_type == "Encounter":
        return st.one_of(st.just(plain), contents(resource_type, repertoire))
    own = st.sampled_from(_CATEGORIES).map(lambda category: {**plain, "category": category})
    return st.one_of(own, own, contents(resource_type, repertoire))


@st.composite
def _writes_of_one(draw: st.DrawFn, repertoire: Repertoire, resource_type: str) -> Action:
    """A write of one record of the type, or of what has the identifier 1."""
    kind = draw(st.sampled_from(("create", "update", "update", "patch", "patch", "delete")))
    own = _own_contents(resource_type, repertoire)
    content = draw(own if kind in {"create", "update"} else _contents_of(kind, resource_type, repertoire))
    if kind == "create" or draw(st.integers(0, 3)) == 0:
        content = {**content, "identifier": "1"} if content and kind != "patch" else content
        return Action(kind, resource_type, identifier="1", content=content)
    is_current = draw(st.sampled_from((None, None, True)))
    return Action(kind, resource_type, _NAMES[resource_type][0], content=content, is_current=is_current)


@st.composite
def pairs(draw: st.DrawFn, repertoire: Repertoire = EVERYTHING) -> Pair:
    """Records, two apps, a write of each of one record, and how long the server takes for each request."""
    resource_type = draw(st.sampled_from(repertoire.written))
    world = draw(worlds(repertoire))
    if draw(st.integers(0, 3)):
        record = draw(_own_contents(resource_type, repertoire))
        world = dict(sorted({**world, (resource_type, _NAMES[resource_type][0]): (record,)}.items()))
    actions = st.tuples(*[_writes_of_one(repertoire, resource_type)] * 2)
    pauses = st.lists(st.integers(0, 30), max_size=8)
    return world, draw(st.tuples(_strong_apps, _strong_apps)), draw(actions), draw(pauses)
