"""What the login, patient and visit pages show for a request under way."""

from collections.abc import Callable

from gateway.oauth.client import Client
from gateway.storage.sessions import Transaction
from gateway.web.html.views import Choice, EncounterView, LoginView, PatientView, Person, Provider
from gateway.web.smart.parts import SmartParts
from gateway.web.smart.shown import form_token, picker_shown

Address = Callable[[Transaction, str], str]


def login_view(
    parts: SmartParts, transaction: Transaction, client: Client, address: Address, problem: str, typed: str
) -> LoginView:
    """Where a person signs in, here or with a provider; `typed` is the name of a try before."""
    providers = tuple(
        Provider(address(transaction, f"/provider/{index}"), one.name) for index, one in enumerate(parts.providers)
    )
    return LoginView(
        action=address(transaction, "/login"),
        csrf=transaction.csrf,
        app_name=client.name,
        username=typed or transaction.request.login_hint,
        problem=problem,
        providers=providers,
        local=parts.users.any_local or not providers,
        hint=parts.users.hint,
    )


async def patient_view(
    parts: SmartParts, transaction: Transaction, client: Client, address: Address, name: str, problem: str
) -> tuple[PatientView, tuple[str, ...]]:
    """The patients to choose from, and references to them, the only ones accepted. Raises `Refused`."""
    assert transaction.user is not None
    found, more = await parts.directory.patients(transaction.user, name)
    view = PatientView(
        action=address(transaction, "/patient"),
        csrf=form_token(transaction, picker_shown(transaction)),
        app_name=client.name,
        query=name,
        people=tuple(Person(one.resource_id, one.name, one.detail) for one in found),
        problem=problem,
        more=more,
    )
    return view, tuple(f"Patient/{one.resource_id}" for one in found)


async def encounter_view(
    parts: SmartParts, transaction: Transaction, client: Client, address: Address, problem: str
) -> tuple[EncounterView, tuple[str, ...]]:
    """The patient's visits to choose from, and references to them. Raises `Refused`."""
    user, patient = transaction.user, transaction.context.patient
    assert user is not None
    found = await parts.directory.encounters(user, patient) if patient is not None else []
    view = EncounterView(
        action=address(transaction, "/encounter"),
        csrf=form_token(transaction, picker_shown(transaction)),
        app_name=client.name,
        patient_name=transaction.patient_name,
        encounters=tuple(Choice(one.resource_id, one.name, one.detail, checked=False) for one in found),
        problem=problem,
    )
    return view, tuple(f"Encounter/{one.resource_id}" for one in found)
