"""The commands `grants list` and `grants end`: what users granted to apps."""

from typing import Annotated

from cyclopts import App, Parameter

from gateway.commands.options import AddressOption, ConfigOption, ProviderOption, UserOption, admin_api

grants = App(name="grants", help="What users granted to apps, by user, app and patient.")

_ClientOption = Annotated[str | None, Parameter(help="The client id of the app.")]
_PatientOption = Annotated[str | None, Parameter(help="The id of the patient in context.")]


@grants.command(name="list")
def list_grants(
    *,
    user: UserOption = None,
    provider: ProviderOption = None,
    client: _ClientOption = None,
    patient: _PatientOption = None,
    config: ConfigOption = None,
    address: AddressOption = None,
) -> None:
    """List what fits: since when, app, user, patient, whether it ends with the user's session, scopes."""
    with admin_api(config, address) as api:
        for line in api.grant_lines(_criteria(user, provider, client, patient)):
            print(line)


@grants.command(name="end")
def end_grants(
    *,
    user: UserOption = None,
    provider: ProviderOption = None,
    client: _ClientOption = None,
    patient: _PatientOption = None,
    config: ConfigOption = None,
    address: AddressOption = None,
) -> None:
    """End what fits, with its tokens and codes. The users stay signed in; see `sessions end`."""
    with admin_api(config, address) as api:
        response = api.request("POST", "/grants/end", dict(_criteria(user, provider, client, patient)))
    print(f"Ended: {response['ended']}.")


def _criteria(user: str | None, provider: str | None, client: str | None, patient: str | None) -> dict[str, str]:
    options = {"user": user, "provider": provider, "client": client, "patient": patient}
    return {name: value for name, value in options.items() if value is not None}
