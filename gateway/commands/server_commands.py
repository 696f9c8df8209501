"""The commands `serve` and `check-config`."""

import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from gateway.commands.options import ConfigOption, fail, read_settings, readable
from gateway.settings.loading.problem import dotted_path
from gateway.settings.loading.valid_parts import Rule
from gateway.settings.warnings import find_warnings

if TYPE_CHECKING:
    from gateway.commands.serving.configurations import Configurations

WorkersOption = Annotated[
    int,
    Parameter(
        validator=Number(gte=1, lte=256),
        help="How many processes serve, on the same port. More than one need Linux, and a Redis for the SMART server.",
    ),
]


def serve(*, config: ConfigOption = None, workers: WorkersOption = 1) -> None:
    """Run the gateway until it is stopped.

    Listens on the address in `listen`, with metrics on the port in `metrics`. Stops on SIGINT or SIGTERM, after
    the requests in progress have been answered; a second signal ends it at once. Exit status 1: the configuration has
    problems; 2: a port or a file cannot be used.
    """
    # Process 1 of a container has no default action: it would ignore SIGTERM until it serves. An exception could
    # get lost, in a `__del__` for example.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # Until they mean something, these must not end a gateway that starts.
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    from gateway.commands.serving.listening_sockets import ListenError  # noqa: PLC0415 - the other commands need no server
    from gateway.commands.serving.serve import serve as serve_forever  # noqa: PLC0415 - likewise
    from gateway.commands.serving.start_rules import START_RULES, shared_store_rule  # noqa: PLC0415 - likewise

    configurations = _read_configurations(config, (*START_RULES, shared_store_rule(workers)))
    try:
        if workers == 1:
            serve_forever(configurations)
        else:
            from gateway.commands.serving.serve_by_workers import serve_by_workers  # noqa: PLC0415 - likewise

            raise SystemExit(serve_by_workers(configurations, workers))
    except ListenError as error:
        fail(error, status=2)


def _read_configurations(config: Path | None, rules: Iterable[Rule]) -> "Configurations":
    """The configuration to start with, which may be read again while the gateway runs."""
    from gateway.commands.serving.configurations import Configurations  # noqa: PLC0415 - the other commands need no server

    with readable(config):
        return Configurations(config, os.environ, rules)


def check_config(*, config: ConfigOption = None, workers: WorkersOption = 1) -> None:
    """Check the configuration and print everything that is wrong with it, each problem with its place.

    Exits with 0 if the gateway would start with it, else with 1; with 2 if the file cannot be read. Warnings do not
    change that.
    """
    from gateway.commands.serving.start_rules import START_RULES, shared_store_rule  # noqa: PLC0415 - needs certificates

    settings = read_settings(config, (*START_RULES, shared_store_rule(workers)))
    for warning in find_warnings(settings):
        print(f"Warning: {dotted_path(warning.path)}: {warning.sentence}.", file=sys.stderr)
    print(f"The configuration is valid. Apps use {settings.public_base_url}.")


def check_health(
    *,
    config: ConfigOption = None,
    ready: Annotated[
        bool, Parameter(help="Ask /readyz instead of /healthz: the FHIR server and the store as well.")
    ] = False,
) -> None:
    """Ask the running gateway of this machine whether it is alive. Exit status 0 if so, else 1.

    For the health check of a container. Reads the address in `listen`.
    """
    from gateway.commands.check_health import check_health as ask  # noqa: PLC0415 - the other commands need no client

    is_healthy, text = ask(read_settings(config).listen, "/readyz" if ready else "/healthz")
    if not is_healthy:
        fail(text)
    print(text)
