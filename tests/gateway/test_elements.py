"""`_elements` does not hide what a constraint judges by its absence."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.gateway.marks import leaks
from tests.gateway.running import running_gateway
from tests.gateway.scripted import Answered, bundle, record, scripted
from tests.servers.people import B_MARKER

DEAD = record("Patient", "pat-b", name=[{"family": B_MARKER}], deceasedBoolean=True)
LIVING = "system/Patient.rs?deceased=false"


def abridged(path: str, query: str, headers: Any) -> Answered:
    """As R4 reads `_elements` (Search 3.1.1.5.8): it names elements, `deceased`, and not members of JSON."""
    wanted = parse_qs(query).get("_elements")
    names = {"resourceType", "id", *(wanted[0].split(",") if wanted else ["name", "deceased"])}
    kept = {name: value for name, value in DEAD.items() if name.removesuffix("Boolean") in names}
    return 200, kept if "/" in path else bundle(kept), {}


async def test_a_dead_patient_is_not_taken_for_a_living_one(tmp_path: Path) -> None:
    async with scripted(abridged) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for path in ("/Patient/pat-b", "/Patient/pat-b?_elements=name", "/Patient?_elements=name"):
            assert leaks(await gateway.ask(path, LIVING)) == [], path
        scope = f"patient/Observation.rs {LIVING}"
        included = "/Observation?_include=Observation:subject&_elements=code"
        assert leaks(await gateway.ask(included, scope)) == []


async def test_where_nothing_is_constrained_the_elements_are_asked_for(tmp_path: Path) -> None:
    async with scripted(abridged) as server, running_gateway(server.base_url, tmp_path) as gateway:
        answer = await gateway.ask("/Patient/pat-b?_elements=name", claims={"patient": "pat-b"})
        assert set(answer.json()) == {"resourceType", "id", "name"}
