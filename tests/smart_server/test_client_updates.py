"""Clients that are replaced, changed and removed by the admin API."""

from typing import Any

import pytest

from tests.smart_server.admin_client import admin_request, register_client, replace_client
from tests.smart_server.running_server import CALLBACK, RunningServer
from tests.smart_server.test_admin_api import ENTRY, entry_problems, read_stored

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest.mark.requirement("R-3")
async def test_a_known_id_is_refused_unless_it_is_to_be_replaced(server: RunningServer) -> None:
    await register_client(server, "taken")
    entry = {**ENTRY, "client_id": "taken", "name": "Impostor"}
    assert "taken" in entry_problems(await admin_request(server, "POST", "/clients", entry), 409)[0]
    assert (await admin_request(server, "GET", "/clients/taken")).json()["name"] == "taken"
    assert len(entry_problems(await admin_request(server, "POST", "/clients?replace=1", entry))) == 1
    await replace_client(server, "taken", name="Meant")
    assert (await admin_request(server, "GET", "/clients/taken")).json()["name"] == "Meant"


async def test_members_of_a_client_are_changed_and_removed(server: RunningServer) -> None:
    await register_client(server, "changing", type="confidential-symmetric", purpose="Old", logo="https://x.example/y")
    stored = await read_stored(server, "client:changing")
    changes = {"purpose": "New", "logo": None}
    changed = await admin_request(server, "PATCH", "/clients/changing", changes)
    assert changed.json() == {"client_id": "changing", "name": "changing", "redirect_uris": [CALLBACK],
                              "type": "confidential-symmetric", "purpose": "New"}  # fmt: skip
    hashes = [text.partition("client_secret_hash")[2][:100] for text in (
        stored, await read_stored(server, "client:changing"))]  # fmt: skip
    assert hashes[0] == hashes[1], "the secret stays the same"
    secret = (await admin_request(server, "PATCH", "/clients/changing", {"client_secret": None})).json()
    assert len(secret["client_secret"]) >= 32, "another is generated"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": ""}, "name"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"client_id": "other"}, "client_id"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"disabled": "yes"}, "disabled"),
        ({"access_token_seconds": 86401}, "access_token_seconds"),
    ],
)
async def test_a_wrong_change_is_refused(server: RunningServer, changes: dict[str, Any], named: str) -> None:
    await replace_client(server, "steady")
    problems = entry_problems(await admin_request(server, "PATCH", "/clients/steady", changes))
    assert named in problems[0]
    assert (await admin_request(server, "GET", "/clients/steady")).json()["name"] == "steady"


async def test_a_removed_client_is_unknown(server: RunningServer) -> None:
    await register_client(server, "gone")
    assert (await admin_request(server, "DELETE", "/clients/gone?remove=true")).json() == {
        "client_id": "gone",
        "removed": True,
    }
    assert (await admin_request(server, "GET", "/clients/gone")).status_code == 404
    assert (await admin_request(server, "PATCH", "/clients/gone", {})).status_code == 404
    listed = (await admin_request(server, "GET", "/clients")).json()["clients"]
    assert "gone" not in {client["client_id"] for client in listed}
