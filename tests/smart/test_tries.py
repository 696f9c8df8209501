"""Secrets and passwords are tried only so often, and who has the right one is not locked out by neighbours."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.smart.house import ADMIN_TOKEN, LAUNCHER_SECRET, House, smart_house

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict(fhir_server: str) -> AsyncIterator[House]:
    """A house where one password may be tried for a name, and ten may fail from one address."""

    def change(settings: dict[str, Any]) -> None:
        settings["smart_server"]["login_attempts"] = 1

    async with smart_house(fhir_server, change=change) as running:
        yield running


async def ask(house: House, door: str, secret: str, name: str = "ehr") -> httpx2.Response:
    """One request with a secret, by one of the doors that ask for one."""
    match door:
        case "launch":
            return await house.http.post(f"{house.issuer}/launch", json={}, auth=(name, secret))
        case "rpc":
            return await house.http.post(f"{house.root}/rpc", json={}, auth=(name, secret))
        case "smart-launch":
            url = f"{house.base}/ClientApplication/public-app/$smart-launch"
            return await house.http.get(url, auth=(name, secret))
    url = f"{house.issuer}/admin/clients"
    return await house.http.get(url, headers={"authorization": f"Bearer {secret}"})


@pytest.mark.parametrize("door", ["launch", "rpc", "smart-launch", "admin"])
async def test_wrong_secrets_are_not_tried_without_end(fhir_server: str, door: str) -> None:
    right = ADMIN_TOKEN if door == "admin" else LAUNCHER_SECRET
    async with smart_house(fhir_server) as house:
        statuses = [(await ask(house, door, f"guess-{number}")).status_code for number in range(32)]
        assert statuses == [401] * 30 + [429] * 2
        assert (await ask(house, door, right)).status_code == 429, "a guess that is right comes too late"
        if door != "admin":
            assert (await ask(house, door, right, "trusted-ehr")).status_code not in {401, 429}


@pytest.mark.parametrize("door", ["launch", "rpc", "smart-launch", "admin"])
async def test_who_was_let_in_before_is_not_locked_out_by_others(fhir_server: str, door: str) -> None:
    right = ADMIN_TOKEN if door == "admin" else LAUNCHER_SECRET
    async with smart_house(fhir_server) as house:
        assert (await ask(house, door, right)).status_code not in {401, 429}
        for number in range(31):
            await ask(house, door, f"guess-{number}")
        assert (await ask(house, door, right)).status_code not in {401, 429}
        assert (await ask(house, door, "guess")).status_code == 429


async def test_people_who_sign_in_rightly_do_not_lock_each_other_out(strict: House) -> None:
    """Behind a proxy everybody comes from one address."""
    for _ in range(12):
        person = strict.person()
        page = await person.sign_in(await person.go(f"{strict.issuer}/sign-in?to=manage"))
        assert page.url == f"{strict.issuer}/manage", page.text


async def test_who_fails_is_held_back_by_address_whatever_the_name(strict: House) -> None:
    said = []
    for number in range(12):
        person = strict.person()
        page = await person.sign_in(await person.go(f"{strict.issuer}/sign-in?to=manage"), f"nobody-{number}")
        said.append("Too many tries" in page.text)
    assert said == [False] * 10 + [True] * 2
