"""What a consent page shows: the one value that both the page and the digest in its form token are made from."""

from dataclasses import dataclass

from gateway.oauth.authorization import User
from gateway.oauth.client.client import Client
from gateway.oauth.purpose_of_use import OfferedPurpose
from gateway.pages.views import ConsentApp, ConsentOffer, ConsentPatient, ConsentSubject, ConsentUser, PurposeChoice
from gateway.scopes.model import Scope
from gateway.smart_server.app_origin import app_warning, describe_recipient
from gateway.smart_server.authorize.consent_rows import scope_rows
from gateway.smart_server.purpose_label import purpose_label
from gateway.storage.transactions import Transaction


@dataclass(frozen=True, slots=True)
class OfferBeside:
    """What the page offers beside the scopes.

    `purposes` are those of which the user may name one. `keeps_state`: the app may keep state of its own here.
    """

    purposes: tuple[OfferedPurpose, ...] = ()
    keeps_state: bool = False

    def choose_purpose(self, code: str) -> str:
        """The purpose with this code, if the page offers it; else none, so that a made-up one counts for nothing."""
        return next((purpose.code for purpose in self.purposes if purpose.code == code), "")


NOTHING_BESIDE = OfferBeside()


def consent_subject(
    transaction: Transaction, client: Client, offered: tuple[Scope, ...], beside: OfferBeside = NOTHING_BESIDE
) -> ConsentSubject:
    """Everything that the consent page shows of a request in which `offered` can be granted."""
    assert transaction.user is not None
    patient = consent_patient(transaction)
    return ConsentSubject(
        user=consent_user(transaction.user),
        patient=patient,
        app=consent_app(client, transaction.request.redirect_uri),
        offer=ConsentOffer(
            scope_rows(offered, is_own_record=patient.is_user),
            tuple(PurposeChoice(purpose.code, purpose_label(purpose)) for purpose in beside.purposes),
            beside.keeps_state,
        ),
    )


def consent_app(client: Client, redirect_uri: str) -> ConsentApp:
    """The app as the page shows it. Nobody vouches for the picture of an app that registered itself (RFC 7591 5)."""
    return ConsentApp(
        name=client.name,
        purpose=client.purpose,
        logo="" if client.self_registered else client.logo,
        recipient=describe_recipient(redirect_uri),
        warning=app_warning(client),
        policy=client.policy,
        terms=client.terms,
    )


def consent_user(user: User) -> ConsentUser:
    """The user as the page shows them."""
    return ConsentUser(user.name, is_clinician=(user.fhir_user or "").startswith("Practitioner"))


def consent_patient(transaction: Transaction) -> ConsentPatient:
    """The patient in context as the page shows them."""
    user = transaction.user
    is_user = user is not None and user.patient is not None and user.patient == transaction.context.patient
    return ConsentPatient(transaction.patient_name, transaction.patient_detail, is_user)
