"""The store goes away in the middle of an end: whoever tries again ends all of it."""

import pytest

from gateway.storage.memory_store import MemoryStore
from gateway.storage.store import StoreAwayError
from tests.smart.house import House
from tests.smart.person import Page, Person

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


async def interrupted(monkeypatch: pytest.MonkeyPatch, person: Person, page: Page, ending: str, deleted: int) -> None:
    """Send a form while the store goes away once it has deleted so many values."""
    real, left = MemoryStore.delete, deleted

    async def delete(store: MemoryStore, key: str) -> bool:
        nonlocal left
        if left == 0:
            raise StoreAwayError("away")
        left -= 1
        return await real(store, key)

    with monkeypatch.context() as during:
        during.setattr(MemoryStore, "delete", delete)
        assert (await person.send(page, ending)).status == 503


@pytest.mark.requirement("edge-62")
@pytest.mark.parametrize("deleted", [0, 1])
async def test_a_sign_out_can_be_done_again(house: House, monkeypatch: pytest.MonkeyPatch, deleted: int) -> None:
    app, person = house.app(), house.person()
    online = await house.tokens(app, "openid online_access", person=person)
    manage = await person.go(f"{house.issuer}/manage")
    await interrupted(monkeypatch, person, manage, "/sign-out", deleted)
    await person.send(manage, "/sign-out")
    assert (await app.refresh(online["refresh_token"])).status_code == 400
    assert "/sign-in" in (await person.go(f"{house.issuer}/manage")).url


@pytest.mark.requirement("RV-1")
@pytest.mark.parametrize("deleted", [0, 1])
async def test_the_end_of_an_access_can_be_done_again(
    house: House, monkeypatch: pytest.MonkeyPatch, deleted: int
) -> None:
    app = house.app("other-app")
    person, page = await house.consent_page(app, "openid offline_access patient/Patient.rs", user="nurse")
    page = await person.agree(page, remember="yes")
    tokens = (await app.exchange(page.parameters["code"])).json()
    manage = await person.go(f"{house.issuer}/manage")
    await interrupted(monkeypatch, person, manage, "/manage", deleted)
    await person.send(manage, "/manage")
    assert (await app.refresh(tokens["refresh_token"])).status_code == 400
    _, page = await house.consent_page(app, "openid patient/Patient.rs", person=person)
    assert page.left_for is None, "the person is asked again"
