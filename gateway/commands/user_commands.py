"""The commands `users`: the people who sign in, here with a password or at a provider."""

import getpass
import json
import sys
from pathlib import Path

from cyclopts import App

from gateway.commands.options import AddressOption, ConfigOption, ProviderOption, admin_api, fail

users = App(name="users", help="The people who sign in, here with a password or at a provider.")


@users.command(name="add")
def add_user(  # noqa: PLR0913 - each is an option of the command line
    username: str,
    *,
    name: str,
    fhir_user: str | None = None,
    role: list[str] | None = None,
    config: ConfigOption = None,
    address: AddressOption = None,
    print_hash: bool = False,
    replace: bool = False,
) -> None:
    """Add a user who signs in here. The password is read from the terminal, or else from standard input.

    Parameters
    ----------
    username
        The name to sign in with.
    name
        The name that pages show.
    fhir_user
        The user's own resource: Practitioner/123.
    role
        A role of the user that rules about records name. May be repeated.
    print_hash
        Print the entry for the configuration file instead of adding it to a running gateway.
    replace
        Replace a user of that name, and end everything that they signed in to.
    """
    from gateway.credentials.passwords import hash_password  # noqa: PLC0415 - only these commands hash

    entry: dict[str, object] = {"username": username, "name": name, "password_hash": hash_password(read_password())}
    if fhir_user is not None:
        entry["fhir_user"] = fhir_user
    if role:
        entry["roles"] = role
    if print_hash:
        print("- {" + ", ".join(f"{key}: {json.dumps(value)}" for key, value in entry.items()) + "}")
        return
    with admin_api(config, address) as api:
        api.request("POST", "/users?replace=true" if replace else "/users", entry)
    print(f"{username} can sign in now.")


@users.command(name="list")
def list_users(*, config: ConfigOption = None, address: AddressOption = None) -> None:
    """List users: name, where they are registered, whether they are enabled, own resource, name on pages.

    Users of providers are listed only while they are disabled.
    """
    with admin_api(config, address) as api:
        for line in api.user_lines():
            print(line)


@users.command(name="disable")
def disable_user(
    user: str, *, provider: ProviderOption = None, config: ConfigOption = None, address: AddressOption = None
) -> None:
    """Refuse a user from now on, and end everything that they signed in to and granted."""
    _administer(config, address, "disable", user, provider)
    print(f"{user} is disabled.")


@users.command(name="enable")
def enable_user(
    user: str, *, provider: ProviderOption = None, config: ConfigOption = None, address: AddressOption = None
) -> None:
    """Let a disabled user sign in again."""
    _administer(config, address, "enable", user, provider)
    print(f"{user} can sign in again.")


@users.command(name="remove")
def remove_user(username: str, *, config: ConfigOption = None, address: AddressOption = None) -> None:
    """Remove a user who was added to the running gateway, and end everything that they signed in to and granted."""
    _administer(config, address, "remove", username, None)
    print(f"{username} is removed.")


@users.command(name="set-password")
def set_password(username: str, *, config: ConfigOption = None, address: AddressOption = None) -> None:
    """Replace the password of a user, and end everything that they signed in to and granted.

    The password is read from the terminal, or else from standard input.
    """
    from gateway.credentials.passwords import hash_password  # noqa: PLC0415 - only these commands hash

    password_hash = hash_password(read_password())
    with admin_api(config, address) as api:
        api.request("POST", "/users/password", {"user": username, "password_hash": password_hash})
    print(f"{username} has another password, and has to sign in with it.")


def read_password() -> str:
    """The password that is typed, or the first line of standard input. Ends the command if it is empty."""
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not password:
        fail("The password is empty.")
    return password


def _administer(config: Path | None, address: str | None, action: str, user: str, provider: str | None) -> None:
    body = {"user": user} if provider is None else {"user": user, "provider": provider}
    with admin_api(config, address) as api:
        api.request("POST", f"/users/{action}", dict(body))
