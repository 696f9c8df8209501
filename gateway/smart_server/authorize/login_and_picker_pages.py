"""The views of the login page, the patient picker and the visit picker."""

from collections.abc import Callable

from gateway.oauth.client.client import Client
from gateway.pages.views import (
    EncounterChoice,
    EncounterView,
    LoginView,
    PatientChoice,
    PatientView,
    ProviderLink,
)
from gateway.smart_server.app_origin import app_warning_with_origin
from gateway.smart_server.authorize.form_token import form_token, picker_snapshot
from gateway.smart_server.dependencies import Dependencies
from gateway.storage.transactions import Transaction

StepUrl = Callable[[Transaction, str], str]
"""The URL of a transaction, with the path of a step."""


def login_view(
    dependencies: Dependencies,
    transaction: Transaction,
    client: Client,
    step_url: StepUrl,
    problem: str,
    username: str,
) -> LoginView:
    """The login page, with a password form or links to providers. `username` is what the user typed before."""
    providers = tuple(
        ProviderLink(step_url(transaction, f"/provider/{index}"), provider.name)
        for index, provider in enumerate(dependencies.providers)
    )
    return LoginView(
        action=step_url(transaction, "/login"),
        csrf=transaction.csrf,
        app_name=client.name,
        username=username or transaction.request.login_hint,
        problem=problem,
        providers=providers,
        has_password_form=dependencies.users.has_configured_users or not providers,
        hint=dependencies.users.sign_in_hint,
        warning=app_warning_with_origin(client, transaction.request.redirect_uri),
    )


def switch_user_url(transaction: Transaction, step_url: StepUrl) -> str:
    """Where "Not you?" is posted. Empty if a launch names the user: nobody else can continue its request."""
    may_switch = transaction.session_id is not None and transaction.launched_for is None
    return step_url(transaction, "/switch-user") if may_switch else ""


async def patient_view(
    dependencies: Dependencies,
    transaction: Transaction,
    client: Client,
    step_url: StepUrl,
    name: str,
    problem: str,
) -> tuple[PatientView, tuple[str, ...]]:
    """The patient picker, and references to its patients: only they can be chosen. Raises `RequestRefused`."""
    assert transaction.user is not None
    patients, has_more = await dependencies.patient_directory.search_patients(transaction.user, name)
    view = PatientView(
        action=step_url(transaction, "/patient"),
        csrf=form_token(transaction, picker_snapshot(transaction)),
        app_name=client.name,
        query=name,
        patients=tuple(PatientChoice(entry.resource_id, entry.name, entry.detail) for entry in patients),
        problem=problem,
        has_more=has_more,
        user_name=transaction.user.name,
        switch_user=switch_user_url(transaction, step_url),
        warning=app_warning_with_origin(client, transaction.request.redirect_uri),
    )
    return view, tuple(f"Patient/{entry.resource_id}" for entry in patients)


async def encounter_view(
    dependencies: Dependencies, transaction: Transaction, client: Client, step_url: StepUrl, problem: str
) -> tuple[EncounterView, tuple[str, ...]]:
    """The visit picker, and references to its visits: only they can be chosen. Raises `RequestRefused`."""
    user, patient = transaction.user, transaction.context.patient
    assert user is not None
    entries = await dependencies.patient_directory.list_encounters(user, patient) if patient is not None else []
    view = EncounterView(
        action=step_url(transaction, "/encounter"),
        csrf=form_token(transaction, picker_snapshot(transaction)),
        app_name=client.name,
        patient_name=transaction.patient_name,
        encounters=tuple(
            EncounterChoice(entry.resource_id, entry.name, entry.detail, checked=False) for entry in entries
        ),
        problem=problem,
        user_name=user.name,
        switch_user=switch_user_url(transaction, step_url),
        warning=app_warning_with_origin(client, transaction.request.redirect_uri),
    )
    return view, tuple(f"Encounter/{entry.resource_id}" for entry in entries)
