"""The commands `admin account` and `admin token`: who administers the gateway at its admin port."""

import json
import secrets
from typing import Literal

from cyclopts import App

from gateway.commands.user_commands import read_password

admin = App(name="admin", help="Who administers the gateway at its admin port (setting admin).")
AdminRole = Literal["operator", "auditor"]


@admin.command(name="account")
def print_account(name: str, *, role: AdminRole = "auditor") -> None:
    """Print the entry of an account for `admin.accounts`. The password is read from the terminal, or standard input.

    Parameters
    ----------
    name
        The name to sign in with, which the audit log shows.
    role
        An auditor may read; an operator may change things as well.
    """
    from gateway.credentials.passwords import hash_password  # noqa: PLC0415 - only these commands hash

    print(_entry({"name": name, "password_hash": hash_password(read_password()), "role": role}))


@admin.command(name="token")
def print_token(name: str, *, role: AdminRole = "auditor") -> None:
    """Make a bearer token for a program. Prints it, which is the only time, and its entry for `admin.tokens`.

    Parameters
    ----------
    name
        What it is, which the audit log shows.
    role
        An auditor may read; an operator may change things as well.
    """
    from gateway.oauth.client.client import digest_secret  # noqa: PLC0415 - only this command needs it

    token = f"sgm_{secrets.token_urlsafe(32)}"
    print(f"Token: {token}")
    print(_entry({"name": name, "token_hash": digest_secret(token), "role": role}))


def _entry(members: dict[str, str]) -> str:
    """The entry as one line of YAML."""
    return "- {" + ", ".join(f"{name}: {json.dumps(value)}" for name, value in members.items()) + "}"
