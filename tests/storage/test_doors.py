"""The smaller doors: assertions used once, tries counted, sessions ended, clients and users kept, keys made once."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from gateway.oauth.authorization import Session, User
from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.storage.attempts import Attempts
from gateway.storage.memory_store import MemoryStore
from gateway.storage.records import decode, encode
from gateway.storage.registrations import LocalUser, Registrations
from gateway.storage.replays import Replays
from gateway.storage.sessions import RowAnswer, Sessions, Transaction, Transactions
from gateway.storage.signing_keys import SigningKeyStore, StoredKey
from gateway.storage.store import Store
from tests.storage.subject import Clock

DOCTOR = User("doctor", "Dr Dora Demo", "Practitioner/practitioner-1")
ASKED = AuthorizationRequest("app", "https://app.example/cb", "patient/*.rs offline_access", "https://gw.example/fhir")
BEGUN = Transaction("request-1", ASKED, "browser", "csrf", 1.0, user=DOCTOR)


class TestReplays:
    @pytest.mark.requirement("CA-7", "edge-71")
    async def test_of_many_uses_at_once_one_is_the_first(self, store: Store) -> None:
        replays = Replays(store)
        firsts = await asyncio.gather(*(replays.first_use("app", "jti", 60) for _ in range(30)))
        assert firsts.count(True) == 1
        assert not await replays.first_use("app", "jti", 60)

    @pytest.mark.parametrize(
        ("one", "other"), [(("app", "1"), ("app2", "1")), (("app", "1"), ("app", "2")), (("a", "bc"), ("ab", "c"))]
    )
    async def test_issuer_and_jti_together_are_what_counts(
        self, store: Store, one: tuple[str, str], other: tuple[str, str]
    ) -> None:
        replays = Replays(store)
        assert await replays.first_use(*one, 60)
        assert await replays.first_use(*other, 60)

    @pytest.mark.requirement("CA-13")
    async def test_it_is_remembered_for_as_long_as_it_could_be_used_again(self) -> None:
        clock = Clock()
        replays = Replays(MemoryStore(clock))
        assert await replays.first_use("app", "jti", 360)
        clock.now += 359
        assert not await replays.first_use("app", "jti", 360)
        clock.now += 1
        assert await replays.first_use("app", "jti", 360)


class TestAttempts:
    async def test_so_many_are_allowed_however_many_come_at_once(self, store: Store) -> None:
        attempts = Attempts(store)
        allowed = await asyncio.gather(*(attempts.allowed("login:x", 5, 60) for _ in range(20)))
        assert allowed.count(True) == 5
        assert await attempts.allowed("login:y", 5, 60)
        await attempts.forget("login:x")
        assert await attempts.allowed("login:x", 5, 60)

    async def test_a_look_counts_nothing(self, store: Store) -> None:
        attempts = Attempts(store)
        assert not await attempts.used_up("x", 2)
        for expected in (False, True, True):
            await attempts.allowed("x", 2, 60)
            assert await attempts.used_up("x", 2) is expected
        await attempts.forget("x")
        assert not await attempts.used_up("x", 2)

    async def test_the_window_begins_with_the_first_and_is_not_prolonged_by_others(self) -> None:
        clock = Clock()
        attempts = Attempts(MemoryStore(clock))
        for _ in range(6):
            clock.now += 9
            await attempts.allowed("x", 2, 60)
        assert not await attempts.allowed("x", 2, 60)
        clock.now += 16
        assert await attempts.allowed("x", 2, 60)


class TestSessions:
    async def test_a_session_is_found_by_its_cookie_alone_until_it_ends(self, store: Store) -> None:
        sessions, session = Sessions(store, 60), Session("session-1", DOCTOR, 1.0, "csrf")
        await sessions.put("cookie", session)
        assert await sessions.get("cookie") == session
        assert await sessions.get("session-1") is None
        assert await sessions.lives("session-1")
        await sessions.end("cookie")
        assert await sessions.get("cookie") is None
        assert not await sessions.lives("session-1")
        await sessions.end("cookie")

    async def test_a_look_prolongs_it(self) -> None:
        clock = Clock()
        sessions = Sessions(MemoryStore(clock), 60)
        await sessions.put("cookie", Session("session-1", DOCTOR, 1.0, "csrf"))
        for _ in range(3):
            clock.now += 50
            assert await sessions.get("cookie") is not None
        assert await sessions.lives("session-1")
        clock.now += 61
        assert await sessions.get("cookie") is None
        assert not await sessions.lives("session-1")

    @pytest.mark.requirement("edge-62")
    async def test_a_sign_out_is_not_undone_by_a_look_at_the_same_time(self, store: Store) -> None:
        sessions = Sessions(store, 60)
        for number in range(20):
            await sessions.put("cookie", Session(f"session-{number}", DOCTOR, 1.0, "csrf"))
            await asyncio.gather(*(sessions.get("cookie") for _ in range(3)), sessions.end("cookie"))
            assert await sessions.get("cookie") is None
            assert not await sessions.lives(f"session-{number}"), number


class TestTransactions:
    async def test_what_was_ticked_is_kept_with_the_request(self, store: Store) -> None:
        transactions, ticked = Transactions(store, 60), RowAnswer("patient/*.rs", "some", ("patient/Patient.rs",))
        transaction = replace(BEGUN, answers=(ticked, RowAnswer("offline_access", "none")), remember=True)
        await transactions.put(transaction)
        assert await transactions.get("request-1") == transaction

    async def test_what_was_answered_or_gone_on_with_meanwhile_is_not_put_back(self, store: Store) -> None:
        transactions = Transactions(store, 60)
        await transactions.put(BEGUN)
        slow, fast = await transactions.get("request-1"), await transactions.get("request-1")
        assert slow is not None and fast is not None
        kept = await transactions.put(fast.with_context(patient="pat-a"))
        assert kept is not None
        assert await transactions.put(slow) is None
        assert await transactions.get("request-1") == kept
        assert await transactions.put(replace(kept, remember=True)) is not None, "who wrote last may write again"
        read = await transactions.get("request-1")
        assert read is not None and read.remember
        await transactions.take("request-1")
        assert await transactions.put(read) is None
        assert await transactions.get("request-1") is None

    async def test_a_request_that_was_kept_by_an_older_gateway_goes_on(self) -> None:
        """Two versions of the gateway stand before one store while the one takes over from the other."""
        kept = msgspec.json.decode(encode(BEGUN))
        del kept["answers"], kept["remember"], kept["several_patients"], kept["patient_of_launch"]
        assert decode(msgspec.json.encode(kept), Transaction) == BEGUN

    def test_what_was_chosen_is_given_up_and_what_a_launch_brought_stays(self) -> None:
        chosen = replace(
            BEGUN.with_context(patient="pat-a", encounter="visit-1", tenant="north"),
            patient_name="Gale", patient_detail="born 1970", offered=("openid",), encounter_settled=True,
        )  # fmt: skip
        assert chosen.without_choices() == BEGUN.with_context(tenant="north")
        launched = replace(chosen, patient_of_launch=True)
        assert launched.without_choices().context == chosen.context
        assert launched.without_choices().patient_name == "", "it is looked up again, as whoever signs in may see it"

    def test_another_patient_can_be_chosen_where_there_was_a_choice(self) -> None:
        chosen = replace(BEGUN.with_context(patient="pat-a"), several_patients=True)
        assert chosen.another_patient
        assert not replace(chosen, several_patients=False).another_patient
        assert not replace(chosen, patient_of_launch=True).another_patient
        assert not chosen.without_choices().another_patient


class TestRegistrations:
    async def test_clients_and_users_are_kept_as_they_were_told(self, store: Store) -> None:
        registrations = Registrations(store)
        entry = {"client_id": "https://x.example/é", "redirect_uris": ["https://x.example/"], "jwks": {"keys": [{}]}}
        await registrations.put_client("https://x.example/é", entry)
        assert await registrations.client("https://x.example/é") == entry
        assert await registrations.client("another") is None
        assert await registrations.client_ids() == {"https://x.example/é"}
        user = LocalUser("doctor", "Dr Dora Demo", "$argon2id$x", "Practitioner/1")
        await registrations.put_user(user)
        assert await registrations.user("doctor") == user
        assert await registrations.user("https://x.example/é") is None

    async def test_a_client_is_no_user_of_the_same_name(self, store: Store) -> None:
        registrations = Registrations(store)
        await registrations.put_client("doctor", {"client_id": "doctor"})
        assert await registrations.user("doctor") is None


class TestSigningKeys:
    async def test_of_many_workers_that_begin_at_once_one_makes_the_key(self, store: Store) -> None:
        keys = SigningKeyStore(store)
        numbers = iter(range(100))

        def make() -> StoredKey:
            return StoredKey(f"key-{next(numbers)}", 0.0)

        loaded = await asyncio.gather(*(keys.load(make) for _ in range(10)))
        assert len(set(loaded)) == 1
        assert len(loaded[0].keys) == 1

    async def test_of_many_that_rotate_at_once_no_key_is_lost(self, store: Store) -> None:
        keys = SigningKeyStore(store)
        await keys.load(lambda: StoredKey("first", 0.0))
        await asyncio.gather(*(keys.rotate(StoredKey(f"{n}", 100.0 + n), forget_before=0.0) for n in range(5)))
        last = await keys.load(lambda: StoredKey("never", 0.0))
        assert {one.jwk for one in last.keys} == {"first", "0", "1", "2", "3", "4"}

    async def test_a_key_is_forgotten_when_its_successor_has_signed_for_as_long_as_its_tokens_live(self) -> None:
        keys = SigningKeyStore(MemoryStore())
        await keys.load(lambda: StoredKey("a", 0.0))
        await keys.rotate(StoredKey("b", 100.0), forget_before=-3500.0)
        kept = await keys.rotate(StoredKey("c", 3800.0), forget_before=99.0)
        assert [one.jwk for one in kept.keys] == ["a", "b", "c"]
        kept = await keys.rotate(StoredKey("d", 7400.0), forget_before=100.0)
        assert [one.jwk for one in kept.keys] == ["b", "c", "d"]

    async def test_the_only_key_is_never_forgotten(self) -> None:
        keys = SigningKeyStore(MemoryStore())
        kept = await keys.rotate(StoredKey("a", 100.0), forget_before=1e9)
        assert [one.jwk for one in kept.keys] == ["a"]
        kept = await keys.rotate(StoredKey("b", 200.0), forget_before=1e9)
        assert "b" in [one.jwk for one in kept.keys]

    async def test_keys_that_cannot_be_read_are_not_replaced_in_silence(self) -> None:
        store = MemoryStore()
        keys = SigningKeyStore(store)
        await store.put("signing-keys", b"{", None)
        with pytest.raises(ValueError, match="cannot be read"):
            await keys.load(lambda: StoredKey("a", 0.0))
        with pytest.raises(ValueError, match="cannot be read"):
            await keys.rotate(StoredKey("a", 0.0), forget_before=0.0)
