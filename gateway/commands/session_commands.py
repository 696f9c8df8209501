"""The command `sessions end`: everything that a user signed in to."""

from cyclopts import App

from gateway.commands.options import AddressOption, ConfigOption, ProviderOption, admin_api

sessions = App(name="sessions", help="The browsers that users signed in with.")


@sessions.command(name="end")
def end_sessions(
    *, user: str, provider: ProviderOption = None, config: ConfigOption = None, address: AddressOption = None
) -> None:
    """Sign a user out everywhere, and end everything that the user granted. The user may sign in again.

    Parameters
    ----------
    user
        The user: a name here, the `sub` at `--provider`, or the subject that lists show.
    """
    body = {"user": user} if provider is None else {"user": user, "provider": provider}
    with admin_api(config, address) as api:
        api.request("POST", "/sessions/end", dict(body))
    print(f"{user} is signed out everywhere, and what they granted has ended.")
