"""A chain reveals nothing of another patient in the same resource, or in a resource that the patient only wrote."""

from pathlib import Path
from typing import Any

import pytest

from tests.proxy.leaked_marks import ids_in, refusal_reason
from tests.proxy.running_gateway import running_gateway
from tests.servers.people import B_MARKER
from tests.servers.process import Server

pytestmark = pytest.mark.sekmet

RIGHT, WRONG = B_MARKER[:10], "NOBODY"


@pytest.mark.parametrize(
    "path",
    [
        "/Appointment?actor:Patient.family={}",
        "/Appointment?patient.family={}",
        "/Group?member:Patient.family={}",
        "/Patient?_has:Appointment:actor:actor:Patient.family={}",
    ],
)
async def test_a_chain_through_a_record_of_two_patients_is_refused(sekmet: Server, tmp_path: Path, path: str) -> None:
    async with running_gateway(sekmet.base_url, tmp_path) as gateway:
        right, wrong = [await gateway.request(path.format(family)) for family in (RIGHT, WRONG)]
        assert (right.status_code, refusal_reason(right)) == (403, "parameter_out_of_reach")
        assert (wrong.status_code, refusal_reason(wrong)) == (403, "parameter_out_of_reach")


async def test_a_chain_in_a_compartment_looks_at_its_owner_alone(sekmet: Server, tmp_path: Path) -> None:
    """B's Observation with A as performer is in A's compartment, and a chain would lead to B's name."""
    async with running_gateway(sekmet.base_url, tmp_path, upstream={"compartment_search": True}) as gateway:
        assert (await gateway.request("/metadata", None)).status_code == 200
        right, wrong = [await gateway.request(f"/Observation?patient.family={family}") for family in (RIGHT, WRONG)]
        assert ids_in(right) == ids_in(wrong) == set()


async def test_a_count_in_a_compartment_is_of_what_is_about_its_owner(sekmet: Server, tmp_path: Path) -> None:
    options: Any = {"upstream": {"compartment_search": True}, "compartments": {"membership": "subject"}}
    async with running_gateway(sekmet.base_url, tmp_path, **options) as gateway:
        assert (await gateway.request("/metadata", None)).status_code == 200
        counted = (await gateway.request("/Observation?_summary=count")).json()["total"]
        assert counted == len(ids_in(await gateway.request("/Observation?_count=500"))) > 0
