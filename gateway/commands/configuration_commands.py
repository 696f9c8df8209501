"""The commands `config show`, `config reload` and `config rollback`: the configuration of the running gateway."""

import time
from typing import Any

from cyclopts import App

from gateway.commands.options import AddressOption, ConfigOption, admin_api

configuration = App(name="config", help="The configuration that is in force in the running gateway.")


@configuration.command(name="show")
def show_configuration(*, config: ConfigOption = None, address: AddressOption = None) -> None:
    """Show which version is in force since when, the one before, and why the files are not in force, if so."""
    with admin_api(config, address) as api:
        _print(api.request("GET", "/configuration"))


@configuration.command(name="reload")
def reload_configuration(*, config: ConfigOption = None, address: AddressOption = None) -> None:
    """Bring the configuration into force as its files are now, in every worker and replica with the same store.

    Each of them reads its own files, checks them as `check-config` does, and changes nothing if they are not valid.
    """
    with admin_api(config, address) as api:
        _print(api.request("POST", "/configuration/reload"))


@configuration.command(name="rollback")
def roll_back_configuration(*, config: ConfigOption = None, address: AddressOption = None) -> None:
    """Go back to the configuration before, in every worker and replica that has the same version now.

    It holds until a file changes, or until the gateway starts again: put the file right.
    """
    with admin_api(config, address) as api:
        _print(api.request("POST", "/configuration/rollback"))


def _print(state: dict[str, Any]) -> None:
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(state["since"]))
    outcome = f"{state['outcome']}: " if "outcome" in state else ""
    print(f"{outcome}{state['version']} is in force since {since}; before: {state['previous'] or 'none'}.")
    for problem in state["problems"]:
        print(f"Not in force: {problem}")
