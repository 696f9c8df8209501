"""Users and clients that are removed from the configuration lose everything when the gateway starts again."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.credentials.passwords import hash_password
from tests.servers import valkey
from tests.servers.ports import free_port
from tests.smart_server.admin_client import register_client
from tests.smart_server.running_server import RunningServer, run_smart_server
from tests.smart_server.signed_in_user import EVERYTHING, SignedInUser, sign_in_and_grant

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

Change = Callable[[dict[str, Any]], None]
OFFLINE = {"offline token", "offline refresh", "offline code"}


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The URL of a store that outlives the gateway."""
    with valkey.standalone() as running:
        yield running.url


def remove_user(settings: dict[str, Any]) -> None:
    settings["users"] = [user for user in settings["users"] if user["username"] != "doctor"]


def remove_client(settings: dict[str, Any]) -> None:
    settings["clients"] = [client for client in settings["clients"] if client["client_id"] != "public-app"]


def change_user(**members: str) -> Change:
    """Change members of the doctor."""

    def change(settings: dict[str, Any]) -> None:
        settings["users"] = [
            {**user, **members} if user["username"] == "doctor" else user for user in settings["users"]
        ]

    return change


def change_nothing(settings: dict[str, Any]) -> None:
    """Start with the same configuration."""


CHANGES: dict[str, tuple[Change, set[str]]] = {
    "nothing is changed": (change_nothing, EVERYTHING),
    "another user is renamed": (change_user(name="Dr Dora Other"), EVERYTHING - {"request in progress"}),
    "the user is removed": (remove_user, set()),
    "the password is replaced": (change_user(password_hash=hash_password("demo")), set()),
    "the user's own resource is replaced": (change_user(fhir_user="Practitioner/practitioner-2"), set()),
    "the app is removed": (remove_client, EVERYTHING - OFFLINE),
}


@pytest.mark.parametrize("changed", CHANGES)
async def test_at_the_next_start_what_is_left_is_what_the_configuration_still_has(
    fhir_server: str, store: str, changed: str
) -> None:
    change, left = CHANGES[changed]
    port, use_store = free_port(), database(store, list(CHANGES).index(changed))

    def second(settings: dict[str, Any]) -> None:
        use_store(settings)
        change(settings["smart_server"])

    async with run_smart_server(fhir_server, port=port, change=use_store) as server:
        user = await sign_in_and_grant(server, "doctor")
    async with run_smart_server(fhir_server, port=port, change=second) as server:
        await resume(user, server)
        assert await user.working() == left


@pytest.mark.parametrize("remove", [remove_user, remove_client])
async def test_who_comes_back_into_the_configuration_gets_nothing_back(
    fhir_server: str, store: str, remove: Change
) -> None:
    port, use_store = free_port(), database(store, 10 if remove is remove_user else 11)

    def without(settings: dict[str, Any]) -> None:
        use_store(settings)
        remove(settings["smart_server"])

    async with run_smart_server(fhir_server, port=port, change=use_store) as server:
        user = await sign_in_and_grant(server, "doctor")
    async with run_smart_server(fhir_server, port=port, change=without):
        pass
    async with run_smart_server(fhir_server, port=port, change=use_store) as server:
        await resume(user, server)
        assert not OFFLINE & await user.working()


def database(store: str, number: int) -> Change:
    """Use this database of the store."""

    def change(settings: dict[str, Any]) -> None:
        settings["smart_server"]["store"] = f"{store.rpartition('/')[0]}/{number}"

    return change


async def resume(user: SignedInUser, server: RunningServer) -> None:
    """Continue with the same browser and apps at the server that was started again."""
    cookies = user.person.client.cookies
    user.server, user.person = server, server.person()
    user.person.client.cookies = cookies
    for app in (user.app, user.online_app):
        app.http = server.http


async def test_a_registered_public_app_without_pkce_is_warned_about_at_each_start(
    fhir_server: str, store: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Those of the configuration are warned about by `find_warnings`."""

    def use_store(settings: dict[str, Any]) -> None:
        settings["smart_server"]["store"] = store

    async with run_smart_server(fhir_server, change=use_store) as server:
        await register_client(server, "registered-of-old", require_pkce=False)
        await register_client(server, "registered-now")
    caplog.clear()
    async with run_smart_server(fhir_server, change=use_store):
        warned = [record for record in caplog.records if "need not use PKCE" in record.message]
    assert [getattr(record, "client_id", None) for record in warned] == ["registered-of-old"]
