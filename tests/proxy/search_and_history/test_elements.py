"""`_elements` does not hide an element whose absence a constraint depends on."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.proxy.leaked_marks import find_leaks
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.people import B_MARKER

DEAD = make_resource("Patient", "pat-b", name=[{"family": B_MARKER}], deceasedBoolean=True)
LIVING = "system/Patient.rs?deceased=false"


def apply_elements(path: str, query: str, headers: Any) -> ScriptedResponse:
    """As R4 defines `_elements` (Search 3.1.1.5.8): it names elements such as `deceased`, not JSON members."""
    wanted = parse_qs(query).get("_elements")
    names = {"resourceType", "id", *(wanted[0].split(",") if wanted else ["name", "deceased"])}
    kept = {name: value for name, value in DEAD.items() if name.removesuffix("Boolean") in names}
    return 200, kept if "/" in path else bundle(kept), {}


async def test_a_dead_patient_is_not_taken_for_a_living_one(tmp_path: Path) -> None:
    async with scripted_server(apply_elements) as server, running_gateway(server.base_url, tmp_path) as gateway:
        for path in ("/Patient/pat-b", "/Patient/pat-b?_elements=name", "/Patient?_elements=name"):
            assert find_leaks(await gateway.request(path, LIVING)) == [], path
        scope = f"patient/Observation.rs {LIVING}"
        included = "/Observation?_include=Observation:subject&_elements=code"
        assert find_leaks(await gateway.request(included, scope)) == []


async def test_where_nothing_is_constrained_the_elements_are_asked_for(tmp_path: Path) -> None:
    async with scripted_server(apply_elements) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Patient/pat-b?_elements=name", claims={"patient": "pat-b"})
        assert set(response.json()) == {"resourceType", "id", "name"}
