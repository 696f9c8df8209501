"""The command `selftest`: checks of a running gateway from outside."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn
from urllib.parse import urlsplit

from cyclopts import Parameter
from cyclopts.validators import Number

from gateway.commands.options import ConfigOption, fail, read_settings

if TYPE_CHECKING:
    from gateway.commands.selftesting.check_results import CheckResults

ADMIN_TOKEN = "SMART_GATEWAY_SELFTEST_ADMIN_TOKEN"
"""The environment variable that holds the admin token."""


def selftest(  # noqa: PLR0913 - each is an option of the command line
    *,
    url: str | None = None,
    config: ConfigOption = None,
    short: Annotated[bool, Parameter(negative=())] = False,
    admin_token_file: Path | None = None,
    admin_url: str | None = None,
    address: str | None = None,
    upstream: str | None = None,
    upstream_headers_file: Path | None = None,
    ca_file: Path | None = None,
    json: Path | None = None,
    junit: Path | None = None,
    seconds: Annotated[float, Parameter(validator=Number(gte=1, lte=300))] = 20.0,
) -> None:
    """Test a running gateway from outside.

    Discovery, refusals, launches, tokens, constrained scopes, writes, leaks.
    The full form makes two canary patients with marked records, two users
    and a few apps, tries to reach one patient's records with the other's
    tokens, and removes all of it at the end, also after Ctrl-C. It needs the
    admin token: in SMART_GATEWAY_SELFTEST_ADMIN_TOKEN, in a file, or by the
    configuration.

    The short form touches no record and needs no token. With one, it also
    registers a backend service and two apps, and removes them.

        smart-gateway selftest --url https://fhir.example.org/r4 --short
        smart-gateway selftest --config gateway.yaml --junit selftest.xml
        smart-gateway selftest --url https://fhir.example.org/r4 \\
          --admin-token-file token --upstream http://fhir.internal:8080/fhir

    Exit status 0: nothing failed; 1: a check failed, or something could not
    be removed; 2: the test could not be made, or was interrupted.

    Parameters
    ----------
    url
        The public FHIR base of the gateway, `public_base_url`.
    short
        Only what touches no record, as `helm test` does.
    admin_token_file
        A file with the admin token, `smart_server.admin_token`.
    admin_url
        Where the admin API is, if not at `/admin` below the issuer.
    address
        Where this machine reaches the gateway, if not at the host of --url, such as http://gateway.fhir:8080.
    upstream
        The FHIR server behind: tells whether it can be reached around the gateway from here, and makes the canaries
        there if it lets this machine, instead of through the gateway.
    upstream_headers_file
        A file with header fields for the FHIR server behind, one in a line, such as `Authorization: Bearer ...`.
    ca_file
        The certificate authorities to trust, as PEM, instead of those of this machine.
    json
        Write all results to this file, as JSON.
    junit
        Write all results to this file, as JUnit XML.
    seconds
        How long one request may take.
    """
    from gateway.commands.admin_api_client import printable  # noqa: PLC0415 - needs an HTTP client
    from gateway.commands.selftesting.check_results import CheckResult, CheckResults, Outcome  # noqa: PLC0415 - likewise
    from gateway.commands.selftesting.reports import result_lines, summary_line  # noqa: PLC0415 - likewise
    from gateway.commands.selftesting.run import SelfTest, SelfTestError, Target  # noqa: PLC0415 - likewise

    def tell(result: CheckResult) -> None:
        for line in result_lines(result):
            print(printable(line), flush=True)

    settings = None if config is None else read_settings(config)
    token = _read_file(admin_token_file) if admin_token_file is not None else os.environ.get(ADMIN_TOKEN)
    if settings is not None:
        url = url or settings.public_base_url
        own_token = settings.smart_server.admin_token if settings.smart_server is not None else None
        token = token or (own_token.get_secret_value() if own_token is not None else None)
    if not token and not short:
        _misuse(
            f"The full form needs the admin token: in {ADMIN_TOKEN}, by --admin-token-file or --config. Or --short."
        )
    target = Target(
        base=_checked_url("--url", url),
        address=None if address is None else _checked_url("--address", address),
        admin_url=None if admin_url is None else _checked_url("--admin-url", admin_url),
        admin_token=token or None,
        upstream=None if upstream is None else _checked_url("--upstream", upstream),
        upstream_headers={} if upstream_headers_file is None else _read_headers(upstream_headers_file),
        ca_file=ca_file,
        seconds=seconds,
    )
    results, started_at, is_complete = CheckResults(tell), datetime.now(UTC), False
    try:
        with _ended_by_signals() as ignore_signals:
            SelfTest(target, results).check(is_short=short, before_removal=ignore_signals)
            is_complete = True
    except SelfTestError as error:
        _misuse(str(error))
    except KeyboardInterrupt:
        print("Interrupted.", flush=True)
    print(summary_line(results), flush=True)
    _write_reports(results, json, junit, url=target.base, started_at=started_at.isoformat(), complete=is_complete)
    if not is_complete:
        raise SystemExit(2)
    if results.count(Outcome.FAILED):
        raise SystemExit(1)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[Callable[[], None]]:
    """SIGTERM ends what runs as Ctrl-C does. After a call of the function that is given, both pass by."""

    def ignore() -> None:
        for number in kept:
            signal.signal(number, signal.SIG_IGN)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        # A second one must not end the removal of what was made.
        ignore()
        raise KeyboardInterrupt

    kept = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ignore
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _misuse(message: str) -> NoReturn:
    fail(message, status=2)


def _checked_url(option: str, url: str | None) -> str:
    """The URL without a slash at its end. Ends with a message if it is none."""
    if url is None:
        _misuse(f"Say what to test: {option} https://fhir.example.org/r4, or --config.")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment or parts.username:
        _misuse(f"{option} must be a URL that begins with http:// or https://, without a user, a query and a fragment.")
    return url.rstrip("/")


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        _misuse(f"{path}: cannot be read: {(reason or 'it is no text').lower()}")


def _read_headers(path: Path) -> dict[str, str]:
    found = {}
    for line in _read_file(path).splitlines():
        name, colon, value = line.partition(":")
        if line.strip():
            if not colon or not name.strip():
                # Without the line: it may be a credential.
                _misuse(f"{path}: a line is no header field, such as `Authorization: Bearer ...`")
            found[name.strip()] = value.strip()
    return found


def _write_reports(results: "CheckResults", json: Path | None, junit: Path | None, **about: object) -> None:
    from gateway.commands.selftesting.reports import json_report, junit_report  # noqa: PLC0415 - as above

    try:
        if json is not None:
            json.write_text(json_report(results, **about), encoding="utf-8")
        if junit is not None:
            junit.write_text(junit_report(results), encoding="utf-8")
    except OSError as error:
        _misuse(f"{error.filename}: cannot be written: {(error.strerror or str(error)).lower()}")
