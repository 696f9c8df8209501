"""Options that several commands have, and how a command ends that cannot be carried out."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

from cyclopts import Parameter

from gateway.settings.loading.load import SettingsError, load_settings
from gateway.settings.loading.valid_parts import Rule
from gateway.settings.model import Settings

if TYPE_CHECKING:
    from gateway.commands.admin_api_client import AdminApiClient

ConfigOption = Annotated[Path | None, Parameter(name=["--config", "-c"], help="The configuration file.")]
AddressOption = Annotated[
    str | None, Parameter(help="The issuer's URL as this machine reaches it, such as http://127.0.0.1:8080/auth.")
]
UserOption = Annotated[
    str | None,
    Parameter(help="The user: a name here, the `sub` at `--provider`, or the subject that lists show."),
]
ProviderOption = Annotated[
    str | None, Parameter(help="The issuer of the OpenID provider, or the client id of the launcher, of the user.")
]


def fail(message: object, status: int = 1) -> NoReturn:
    """End with this exit status and a message on standard error."""
    print(message, file=sys.stderr)
    raise SystemExit(status)


def read_settings(config: Path | None, rules: Iterable[Rule] = ()) -> Settings:
    """The settings of the file and the environment. Prints every problem and ends if there is one.

    `rules` are rules that the settings must keep beside their own. Exit status: 1, or 2 without a file to read.
    """
    with readable(config):
        return load_settings(config, os.environ, rules)


@contextlib.contextmanager
def readable(config: Path | None) -> Iterator[None]:
    """Print every problem of the configuration that is read meanwhile, and end. Exit status as for `read_settings`."""
    if config is not None:
        try:
            config.open("rb").close()
        except OSError as error:
            fail(f"{config}: cannot be read: {(error.strerror or str(error)).lower()}", status=2)
    try:
        yield
    except SettingsError as error:
        fail("\n".join(str(problem) for problem in error.problems))


@contextlib.contextmanager
def admin_api(config: Path | None, address: str | None) -> Iterator["AdminApiClient"]:
    """A client of the running gateway's admin API. Ends with a message if there is no such API, or if it refuses."""
    from gateway.commands.admin_api_client import AdminApiClient, AdminApiError  # noqa: PLC0415 - needs an HTTP client

    try:
        yield AdminApiClient(read_settings(config), address)
    except AdminApiError as error:
        fail(error)
