"""Registered clients and users are stored as they were given."""

from gateway.settings.authorization.smart_server import LocalUserEntry
from gateway.storage.accounts.registrations import Registrations
from gateway.storage.backends.store import Store

_HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"


class TestRegistrations:
    async def test_clients_and_users_are_kept_as_they_were_told(self, store: Store) -> None:
        registrations = Registrations(store)
        entry = {"client_id": "https://x.example/é", "redirect_uris": ["https://x.example/"], "jwks": {"keys": [{}]}}
        await registrations.put_client("https://x.example/é", entry)
        assert await registrations.get_client("https://x.example/é") == entry
        assert await registrations.get_client("another") is None
        assert await registrations.list_client_ids() == {"https://x.example/é"}
        user = LocalUserEntry(
            username="doctor",
            name="Dr Dora Demo",
            password_hash=_HASH,
            fhir_user="Practitioner/1",
        )
        await registrations.put_user(user)
        assert await registrations.get_user("doctor") == user
        assert await registrations.get_user("https://x.example/é") is None

    async def test_what_somebody_else_has_changed_or_removed_meanwhile_is_not_replaced(self, store: Store) -> None:
        registrations = Registrations(store)
        read = {"client_id": "app", "name": "App", "registered_at": 1.5}
        disabled = {**read, "disabled": True}
        await registrations.put_client("app", read)
        assert await registrations.replace_client("app", read, disabled)
        assert not await registrations.replace_client("app", read, {**read, "name": "Other"})
        assert await registrations.get_client("app") == disabled
        await registrations.remove_client("app")
        assert not await registrations.replace_client("app", disabled, read)
        assert await registrations.get_client("app") is None
        user = LocalUserEntry(username="doctor", name="Dr Dora Demo", password_hash=_HASH, roles=("staff",))
        other = user.model_copy(update={"roles": ("doctor",)})
        await registrations.put_user(user)
        assert await registrations.replace_user(user, other)
        assert not await registrations.replace_user(user, user)
        assert await registrations.get_user("doctor") == other

    async def test_a_client_is_no_user_of_the_same_name(self, store: Store) -> None:
        registrations = Registrations(store)
        await registrations.put_client("doctor", {"client_id": "doctor"})
        assert await registrations.get_user("doctor") is None
