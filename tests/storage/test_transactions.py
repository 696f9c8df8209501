"""Transactions: one is finished once, and a slow page does not undo a later change."""

from dataclasses import replace

import msgspec

from gateway.oauth.authorization_request import AuthorizationRequest
from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.store import Store
from gateway.storage.record_encoding import decode, encode
from gateway.storage.transactions import AnsweredRequest, Outcome, ScopeChoice, Transaction, Transactions
from tests.storage.sample_authorizations import DOCTOR
from tests.storage.store_under_test import Clock

REQUEST = AuthorizationRequest(
    "app", "https://app.example/cb", "patient/*.rs offline_access", "https://gw.example/fhir"
)
TRANSACTION = Transaction("request-1", REQUEST, "browser", "csrf", 1.0, user=DOCTOR)


class TestTransactions:
    async def test_what_was_ticked_is_kept_with_the_request(self, store: Store) -> None:
        transactions, ticked = Transactions(store, 60), ScopeChoice("patient/*.rs", "some", ("patient/Patient.rs",))
        transaction = replace(TRANSACTION, answers=(ticked, ScopeChoice("offline_access", "none")), remember=True)
        await transactions.put(transaction)
        assert await transactions.get("request-1") == transaction

    async def test_what_was_answered_or_gone_on_with_meanwhile_is_not_put_back(self, store: Store) -> None:
        transactions = Transactions(store, 60)
        await transactions.put(TRANSACTION)
        slow, fast = await transactions.get("request-1"), await transactions.get("request-1")
        assert slow is not None and fast is not None
        stored = await transactions.put(fast.with_context(patient="pat-a"))
        assert stored is not None
        assert await transactions.put(slow) is None
        assert await transactions.get("request-1") == stored
        assert await transactions.put(replace(stored, remember=True)) is not None, "who wrote last may write again"
        read = await transactions.get("request-1")
        assert read is not None and read.remember
        assert await transactions.end(read, Outcome.CONNECTED)
        assert not await transactions.end(read, Outcome.DECLINED), "it ends once"
        assert await transactions.put(read) is None
        assert await transactions.get("request-1") is None
        answered = AnsweredRequest("browser", "app", "https://app.example/cb", Outcome.CONNECTED)
        assert await transactions.get_answered("request-1") == answered

    async def test_a_look_does_not_prolong_a_request_that_nobody_has_signed_in_to(self) -> None:
        clock = Clock()
        transactions = Transactions(MemoryStore(clock), 60)
        await transactions.put(replace(TRANSACTION, user=None))
        await transactions.put(replace(TRANSACTION, transaction_id="request-2"))
        clock.now += 50
        for request in ("request-1", "request-2"):
            seen = await transactions.get(request)
            assert seen is not None
            assert await transactions.put(seen) == seen
        clock.now += 50
        assert await transactions.get("request-1") is None
        assert await transactions.get("request-2") is not None

    async def test_a_request_that_was_kept_by_an_older_gateway_goes_on(self) -> None:
        """During an update, two versions of the gateway use one store."""
        stored = msgspec.json.decode(encode(TRANSACTION))
        del stored["answers"], stored["remember"], stored["several_patients"], stored["patient_of_launch"]
        assert decode(msgspec.json.encode(stored), Transaction) == TRANSACTION

    def test_what_was_chosen_is_given_up_and_what_a_launch_brought_stays(self) -> None:
        chosen = replace(
            TRANSACTION.with_context(patient="pat-a", encounter="visit-1", tenant="north"),
            patient_name="Gale", patient_detail="born 1970", offered=("openid",), encounter_settled=True,
        )  # fmt: skip
        assert chosen.without_choices() == TRANSACTION.with_context(tenant="north")
        launched = replace(chosen, patient_of_launch=True)
        assert launched.without_choices().context == chosen.context
        assert launched.without_choices().patient_name == "", "it is looked up again, as whoever signs in may see it"

    def test_another_patient_can_be_chosen_where_there_was_a_choice(self) -> None:
        chosen = replace(TRANSACTION.with_context(patient="pat-a"), several_patients=True)
        assert chosen.can_change_patient
        assert not replace(chosen, several_patients=False).can_change_patient
        assert not replace(chosen, patient_of_launch=True).can_change_patient
        assert not chosen.without_choices().can_change_patient
