"""What an administrator ends is over at once: sessions, tokens, codes, requests in progress, refresh tokens."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.smart_server.admin_client import admin_request, register_client
from tests.smart_server.running_server import PASSWORD_HASH, RunningServer
from tests.smart_server.signed_in_user import EVERYTHING, OFFLINE, SignedInUser, add_user, sign_in_and_grant

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


async def administer(server: RunningServer, path: str, **body: Any) -> dict[str, Any]:
    """A POST to the admin API, which must succeed."""
    response = await admin_request(server, "POST", path, body)
    assert response.status_code == 200, response.text
    return dict(response.json())


@pytest.fixture(scope="module")
def names() -> Callable[[], str]:
    """New user names."""
    numbers = iter(range(1000))
    return lambda: f"user-{next(numbers)}"


async def signed_in(server: RunningServer, names: Callable[[], str]) -> SignedInUser:
    """A new user with everything."""
    username = names()
    await add_user(server, username)
    return await sign_in_and_grant(server, username)


async def test_a_user_who_is_not_ended_keeps_everything(server: RunningServer, names: Callable[[], str]) -> None:
    user, other = await signed_in(server, names), await signed_in(server, names)
    await administer(server, "/users/disable", user=other.username)
    assert await user.working() == EVERYTHING


USER_ENDS: dict[str, Callable[[RunningServer, str], Awaitable[Any]]] = {
    "disabled": lambda server, name: administer(server, "/users/disable", user=name),
    "removed": lambda server, name: administer(server, "/users/remove", user=name),
    "given another password": lambda server, name: administer(server, "/users/password", user=name, password="other"),
    "signed out by an administrator": lambda server, name: administer(server, "/sessions/end", user=name),
    "replaced with another password": lambda server, name: admin_request(
        server, "POST", "/users?replace=true", {"username": name, "name": name, "password": "demo",
                                                "fhir_user": "Practitioner/practitioner-1"}),
}  # fmt: skip


@pytest.mark.requirement("RV-1", "RV-3")
@pytest.mark.parametrize("how", USER_ENDS)
async def test_nothing_works_any_more_of_a_user_who_was(
    server: RunningServer, names: Callable[[], str], how: str
) -> None:
    user = await signed_in(server, names)
    await USER_ENDS[how](server, user.username)
    assert await user.working() == set()
    assert (await admin_request(server, "GET", f"/grants?user={user.username}")).json() == {"grants": []}


async def test_a_disabled_user_signs_in_again_when_enabled_and_gets_nothing_back(
    server: RunningServer, names: Callable[[], str]
) -> None:
    user = await signed_in(server, names)
    await administer(server, "/users/disable", user=user.username)
    person = server.person()
    page = await person.sign_in(await person.open(f"{server.issuer}/apps"), user.username)
    assert "The user name or the password is not right." in page.text
    await administer(server, "/users/enable", user=user.username)
    assert await user.working() == set()
    person = server.person()
    _, page = await server.open_consent_page(server.app(), OFFLINE, user=user.username, person=person)
    assert page.form("/consent").method == "post", "the remembered consent has ended too"


async def test_a_name_that_is_given_to_somebody_else_gives_nothing_of_the_first(
    server: RunningServer, names: Callable[[], str]
) -> None:
    user = await signed_in(server, names)
    await administer(server, "/users/remove", user=user.username)
    await add_user(server, user.username, name="Somebody Else")
    assert await user.working() == set()


async def test_a_user_of_a_launcher_is_named_with_it_and_disabled(server: RunningServer) -> None:
    launch = {"client_id": "public-app", "context": {"patient": "pat-a"},
              "user": {"subject": "vouched", "name": "V", "fhirUser": "Practitioner/practitioner-1"}}  # fmt: skip
    auth = ("trusted-ehr", "a-long-secret-of-the-ehr")
    assert (await server.http.post(f"{server.issuer}/launch", json=launch, auth=auth)).status_code == 201
    named = await administer(server, "/users/disable", user="vouched", provider="trusted-ehr")
    assert named == {"user": "vouched", "subject": "trusted-ehr|vouched"}
    refused = await server.http.post(f"{server.issuer}/launch", json=launch, auth=auth)
    assert refused.status_code == 400
    listed = (await admin_request(server, "GET", "/users")).json()["users"]
    assert {"user": "trusted-ehr|vouched", "name": "vouched of trusted-ehr", "fhir_user": None, "roles": [],
            "disabled": True, "from": "provider"} in listed  # fmt: skip
    await administer(server, "/users/enable", user="vouched", provider="trusted-ehr")
    assert (await server.http.post(f"{server.issuer}/launch", json=launch, auth=auth)).status_code == 201


async def test_each_end_is_an_event_that_names_the_user(server: RunningServer, names: Callable[[], str]) -> None:
    username = names()
    await add_user(server, username)
    server.telemetry.events.clear()
    await administer(server, "/users/disable", user=username)
    await administer(server, "/users/enable", user=username)
    await administer(server, "/users/password", user=username, password="other")
    await administer(server, "/sessions/end", user=username)
    await administer(server, "/users/remove", user=username)
    assert [(event.kind.value, event.subject) for event in server.telemetry.events] == [
        (kind, username) for kind in ("user_disabled", "user_enabled", "password_set", "user_ended", "user_removed")
    ]


async def test_users_are_listed(server: RunningServer, names: Callable[[], str]) -> None:
    username = names()
    await add_user(server, username)
    await administer(server, "/users/disable", user=username)
    listed = (await admin_request(server, "GET", "/users")).json()["users"]
    assert {"user": username, "name": username, "fhir_user": "Practitioner/practitioner-1", "roles": [],
            "disabled": True, "from": "registration"} in listed  # fmt: skip
    assert [row["from"] for row in listed if row["user"] == "doctor"] == ["configuration"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/users/disable", {"user": "nobody"}, 404),
        ("/users/disable", {}, 400),
        ("/users/disable", {"user": "x", "provider": "https://unknown.example"}, 400),
        ("/users/enable", {"user": "doctor"}, 409),
        ("/users/remove", {"user": "doctor"}, 409),
        ("/users/remove", {"user": "nobody"}, 404),
        ("/users/password", {"user": "doctor", "password": "x"}, 409),
        ("/users/password", {"user": "nobody", "password": "x"}, 404),
        ("/sessions/end", {"user": "nobody"}, 404),
        ("/grants/end", {}, 400),
        ("/grants/end", {"app": "x"}, 400),
        ("/grants/end", {"client": 7}, 400),
    ],
)
async def test_what_cannot_be_done_is_said(server: RunningServer, path: str, body: dict[str, Any], status: int) -> None:
    response = await admin_request(server, "POST", path, body)
    assert response.status_code == status, response.text
    assert len(response.json()["problems"]) == 1


async def test_a_user_of_a_known_name_is_replaced_only_where_that_is_meant(
    server: RunningServer, names: Callable[[], str]
) -> None:
    username = names()
    await add_user(server, username)
    body = {"username": username, "name": "Another", "password_hash": PASSWORD_HASH}
    assert (await admin_request(server, "POST", "/users", body)).status_code == 409
    assert (await admin_request(server, "POST", "/users?replace=maybe", body)).status_code == 400
    assert (await admin_request(server, "POST", "/users?replace=true", body)).status_code == 201


class TestGrants:
    @pytest.mark.requirement("RV-1", "RV-3")
    @pytest.mark.parametrize("criteria", [{"user": ""}, {"user": "", "client": "public-app"}, {"patient": "pat-a"}],
                             ids=["of a user", "of a user and an app", "of a patient"])  # fmt: skip
    async def test_they_are_listed_and_ended_with_their_codes(
        self, server: RunningServer, names: Callable[[], str], criteria: dict[str, str]
    ) -> None:
        user = await signed_in(server, names)
        query = {name: value or user.username for name, value in criteria.items()}
        path = "/grants?" + "&".join(f"{name}={value}" for name, value in query.items())
        listed = (await admin_request(server, "GET", path)).json()["grants"]
        mine = [grant for grant in listed if grant["user"] == user.username]
        only_one = "client" in criteria
        assert sorted((grant["client"], grant["patient"], grant["ends_with_session"]) for grant in mine) == (
            [("public-app", "pat-a", False)]
            if only_one
            else [("other-app", "pat-a", True), ("public-app", "pat-a", False)]
        )
        assert (await administer(server, "/grants/end", **query))["ended"] == len(listed)
        assert (await admin_request(server, "GET", path)).json() == {"grants": []}
        left = {"request in progress", "session"}
        online = {"online token", "online refresh", "online code"}
        assert await user.working() == (left | online if only_one else left)

    async def test_those_of_an_app_end_with_it(self, server: RunningServer, names: Callable[[], str]) -> None:
        username = names()
        await add_user(server, username)
        for how in ("DELETE", "DELETE remove", "end", "PATCH"):
            client_id = f"app-{how.replace(' ', '-')}"
            await register_client(server, client_id)
            user = await sign_in_and_grant(server, username, client_id)
            match how:
                case "end":
                    assert (await administer(server, "/grants/end", client=client_id))["ended"] == 1
                case "PATCH":
                    await admin_request(server, "PATCH", f"/clients/{client_id}", {"disabled": True})
                case _:
                    query = "?remove=true" if "remove" in how else ""
                    await admin_request(server, "DELETE", f"/clients/{client_id}{query}")
            offline = {"offline token", "offline refresh", "offline code"}
            assert await user.working() == EVERYTHING - offline, how

    async def test_those_of_a_backend_service_are_listed_and_ended(self, server: RunningServer) -> None:
        app = server.app("backend")
        response = await app.post("/token", {"grant_type": "client_credentials", "scope": "system/Patient.rs"})
        token = response.json()["access_token"]
        assert (await app.read("/Patient/pat-a", token)).status_code == 200
        assert (await administer(server, "/grants/end", client="backend"))["ended"] == 1
        assert (await app.read("/Patient/pat-a", token)).status_code == 401
