"""The command `policy diff`: what a changed configuration would make of the requests that come."""

import json
import os
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from gateway.commands.options import fail
from gateway.settings.loading.load import SettingsError, load_settings
from gateway.settings.model import Settings

policy = App(name="policy", help="What configurations decide, without a running gateway.")


@policy.command(name="diff")
def compare(
    old: Path,
    new: Path,
    *,
    recorded: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Print which decisions change when one configuration takes the place of another.

    Each recorded request is decided under both, by the code that decides in the running gateway. A gateway records
    requests where recording.file is set: their form, without ids and values. Nothing is asked of any server. Requests
    that are allowed here may still be refused for the record that they are about.

        smart-gateway policy diff gateway.yaml changed.yaml --recorded requests.jsonl

    Exit status: 0 if no decision changes; 1 if some do; 2 if a file cannot be used.

    Parameters
    ----------
    old
        The configuration that is in force.
    new
        The one that is to come into force.
    recorded
        A file of recorded requests; may be given several times, as for what was moved to `.1`. Without it, requests
        are made up: one of each kind for each client and each type in its scopes.
    as_json
        Print JSON, with every change.
    """
    from gateway.commands.admin_api_client import printable  # noqa: PLC0415 - serve does not need it
    from gateway.commands.comparing.compare_policies import compare_policies  # noqa: PLC0415 - likewise
    from gateway.commands.comparing.comparison_report import report_json, report_lines  # noqa: PLC0415 - likewise
    from gateway.commands.comparing.example_requests import make_example_requests  # noqa: PLC0415 - likewise
    from gateway.commands.comparing.recorded_file import RecordedFileError, read_recorded  # noqa: PLC0415 - likewise
    from gateway.site_rules.load import SiteRuleError  # noqa: PLC0415 - likewise

    before, after = _read(old), _read(new)
    try:
        requests = read_recorded(recorded) if recorded else make_example_requests(before, after)
        comparison = compare_policies(before, after, requests)
    except (RecordedFileError, SiteRuleError, OSError) as error:
        fail(error, status=2)
    if as_json:
        print(json.dumps(report_json(comparison), indent=2))
    else:
        print(f"{'Recorded' if recorded else 'Made up'}: {comparison.total:,} requests.")
        for line in report_lines(comparison):
            print(printable(line))
    raise SystemExit(1 if comparison.changes else 0)


def _read(path: Path) -> Settings:
    try:
        path.open("rb").close()
        return load_settings(path, os.environ)
    except OSError as error:
        fail(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}", status=2)
    except SettingsError as error:
        fail("\n".join(f"{path}: {problem}" for problem in error.problems), status=2)
