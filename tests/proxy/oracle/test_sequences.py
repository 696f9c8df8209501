"""Random requests of two apps, read and write: every answer and every record is what a plain model says.

By hand: make oracle REQUESTS=100000
"""

import pytest
from hypothesis import example, given

from tests.proxy.oracle.budget import budget
from tests.proxy.oracle.play import Play
from tests.proxy.oracle.strategies import Pair, Sequence, pairs, sequences
from tests.proxy.oracle.world import Action, Bundle, Unit

pytestmark = pytest.mark.asyncio(loop_scope="module")

_OF_A = {"subject": "pat-a", "category": "laboratory", "identifier": "1"}
_OF_B = {**_OF_A, "subject": "pat-b"}
# What is left to see of a record that went to another patient.
MOVED: Sequence = (
    {("Observation", "r1"): (_OF_A,)},
    ((Unit(None, "cruds"),), (Unit("pat-a", "cruds"),)),
    [
        (0, Action("update", name="r1", content=_OF_B)),
        (1, Action("type history")),
        (1, Action("history", name="r1")),
        (1, Action("version", name="r1", version=1)),
    ],
)

# All records of a type, which a server that ignores criteria deletes at the first of these deletes.
ALL_DELETED: Sequence = (
    {("Encounter", name): ({"subject": "pat-a", "identifier": "1"},) for name in ("e1", "e2")},
    ((Unit("pat-a", "cruds", "*"),), (Unit("pat-a", "cruds", "*"),)),
    [(0, Bundle("transaction", tuple(Action("delete", "Encounter", name) for name in ("e1", "e2"))))],
)
# The condition of the update means one record. Before that is written, the other app makes another one that meets it.
CONDITION_MET_LATER: Pair = (
    {("Observation", "r3"): (_OF_B,)},
    ((Unit(None, "cruds", "Observation"),), (Unit("pat-a", "cruds", "*"),)),
    (Action("update", identifier="1", content=_OF_A), Action("create", identifier="1", content=_OF_A)),
    [0, 30],
)


@pytest.mark.parametrize("habits", ["honest", "ignorant"])
@budget(150, share=0.5)
@example(sequence=MOVED)
@example(sequence=ALL_DELETED)
@given(sequence=sequences())
async def test_every_request_comes_to_what_the_model_says(
    plays: dict[str, Play], habits: str, sequence: Sequence
) -> None:
    await plays[habits].compare(sequence)


@budget(150, share=0.1)
@example(pair=CONDITION_MET_LATER)
@given(pair=pairs())
async def test_two_writes_at_once_come_to_one_after_the_other(plays: dict[str, Play], pair: Pair) -> None:
    await plays["honest"].compare_at_once(pair)
