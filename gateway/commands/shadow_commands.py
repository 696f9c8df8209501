"""The command `shadow report`: what enforcement would break for the clients in shadow mode."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
from cyclopts import App, Parameter

from gateway.commands.options import ConfigOption, fail, read_settings

shadow = App(name="shadow", help="Shadow mode: clients whose requests are decided but not held to it (shadow).")


@shadow.command(name="report")
def report_on_clients(
    *files: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    since: Annotated[str | None, Parameter(help="A date, a time, or how long ago: 2026-11-01, 24h, 7d.")] = None,
    client: Annotated[str | None, Parameter(help="The client id of the only client to report on.")] = None,
    as_json: Annotated[bool, Parameter(name="--json", help="Print JSON.", negative=())] = False,
    config: ConfigOption = None,
) -> None:
    """Say of each client in shadow mode what enforcement would break, from the lines of the audit log.

    Files are those of audit.destination, oldest first; - for standard input, and without any the one of --config. Each
    kind of requests has the id of one decision beside it, which `explain --decision` explains, and what would help.
    With --config, that is said by your rules instead of the default ones. Exit status: 0 if every client is ready to
    enforce; 1 if something would break, or could not be judged; 2 if there is nothing to report on.
    """
    from gateway.commands.admin_api_client import printable  # noqa: PLC0415 - serve does not need it
    from gateway.commands.auditing.find_events import parse_since  # noqa: PLC0415 - likewise
    from gateway.commands.explaining.explain_request import EXAMPLE_RULES  # noqa: PLC0415 - likewise
    from gateway.commands.shadowing.report_text import report_lines, report_object  # noqa: PLC0415 - likewise
    from gateway.commands.shadowing.shadow_report import ShadowReport  # noqa: PLC0415 - likewise

    settings = read_settings(config) if config is not None else None
    destination = settings.audit.path() if settings is not None else None
    paths = files or ((destination,) if destination is not None else ())
    if not paths:
        fail("Name a file of audit lines (- for standard input), or give --config with audit.destination.", status=2)
    try:
        instant = "" if since is None else parse_since(since, datetime.now(UTC))
    except ValueError:
        fail(
            "--since must be a date, a time, or how long ago: 2026-11-01, 2026-11-01T08:00:00+01:00, 24h, 7d", status=2
        )
    report = ShadowReport(settings.rules() if settings is not None else EXAMPLE_RULES, instant, client)
    try:
        for path in paths:
            if str(path) == "-":
                report.add_lines(sys.stdin.buffer)
            else:
                with path.open("rb") as lines:
                    report.add_lines(lines)
    except OSError as error:
        fail(f"{error.filename}: cannot be read: {(error.strerror or '').lower()}", status=2)
    clients = report.clients()
    if not clients:
        fail("No request in these lines was in shadow mode.", status=2)
    if as_json:
        print(orjson.dumps([report_object(one) for one in clients], option=orjson.OPT_INDENT_2).decode())
    else:
        print("\n\n".join("\n".join(map(printable, report_lines(one))) for one in clients))
    raise SystemExit(0 if all(one.is_ready for one in clients) else 1)
