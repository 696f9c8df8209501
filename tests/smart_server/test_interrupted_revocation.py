"""The store becomes unavailable during a revocation: repeating it completes the revocation."""

import pytest

from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import StoreUnavailableError
from tests.smart_server.person_in_browser import Page, Person
from tests.smart_server.running_server import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


async def interrupt_revocation(
    monkeypatch: pytest.MonkeyPatch, person: Person, page: Page, ending: str, deleted: int
) -> None:
    """Send a form; the store becomes unavailable after this number of deletions."""
    real, left = MemoryStore.delete, deleted

    async def delete(store: MemoryStore, key: str) -> bool:
        nonlocal left
        if left == 0:
            raise StoreUnavailableError("away")
        left -= 1
        return await real(store, key)

    with monkeypatch.context() as during:
        during.setattr(MemoryStore, "delete", delete)
        assert (await person.submit(page, ending)).status == 503


@pytest.mark.requirement("edge-62")
@pytest.mark.parametrize("deleted", [0, 1])
async def test_a_sign_out_can_be_done_again(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, deleted: int
) -> None:
    app, person = server.app(), server.person()
    online = await server.request_tokens(app, "openid online_access", person=person)
    manage = await person.open(f"{server.issuer}/manage")
    await interrupt_revocation(monkeypatch, person, manage, "/sign-out", deleted)
    await person.submit(manage, "/sign-out")
    assert (await app.refresh(online["refresh_token"])).status_code == 400
    assert "/sign-in" in (await person.open(f"{server.issuer}/manage")).url


@pytest.mark.requirement("RV-1")
@pytest.mark.parametrize("deleted", [0, 1])
async def test_the_end_of_an_access_can_be_done_again(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, deleted: int
) -> None:
    app = server.app("other-app")
    person, page = await server.open_consent_page(app, "openid offline_access patient/Patient.rs", user="nurse")
    page = await person.agree(page, remember="yes")
    tokens = (await app.exchange(page.parameters["code"])).json()
    manage = await person.open(f"{server.issuer}/manage")
    await interrupt_revocation(monkeypatch, person, manage, "/manage", deleted)
    await person.submit(manage, "/manage")
    assert (await app.refresh(tokens["refresh_token"])).status_code == 400
    _, page = await server.open_consent_page(app, "openid patient/Patient.rs", person=person)
    assert page.left_for is None, "the person is asked again"
