"""The command `explain`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gateway.commands.options import ConfigOption, fail, read_settings

if TYPE_CHECKING:
    from gateway.policy.decision.explanation import Explanation


def explain(  # noqa: PLR0913 - each is an option of the command line
    method: str | None = None,
    url: str | None = None,
    *,
    config: ConfigOption = None,
    scope: str | None = None,
    patient: str | None = None,
    user: str | None = None,
    token: str | None = None,
    body: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    decision: str | None = None,
    audit: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Explain what the gateway would do with a request, and what would help if it is refused.

    The token is checked and the decision made as in the running gateway. Keys are fetched, so that the signature of a
    token is checked as well. Without --config, the default rules apply and no issuer is known. Exit status: 0 if the
    request is permitted, or depends on the record; 1 if it is refused; 2 if nothing can be said.

    Parameters
    ----------
    method
        GET, HEAD, POST ...
    url
        Path and query below the FHIR base, or the whole URL: '/Observation?code=1234-5'.
    scope
        The scopes, separated by spaces.
    patient
        The id of the patient in context.
    user
        The user as a FHIR resource: Practitioner/1.
    token
        An access token: a JWT of an issuer, or one that the gateway issued.
    body
        The file with the Bundle of a batch or transaction (POST /), whose entries are explained; - for standard input.
    decision
        Explain this decision instead, by its id (X-Decision-Id, or `decision_id` of the audit line).
    audit
        The file with the audit lines, if it is not audit.destination of the configuration; - for standard input.
    as_json
        Print JSON.
    """
    from gateway.commands.explaining.explain_error import ExplainError  # noqa: PLC0415 - likewise
    from gateway.commands.explaining.explain_request import EXAMPLE_RULES, explain_request  # noqa: PLC0415 - serve does not need it
    from gateway.commands.explaining.find_audit_line import find_audit_line  # noqa: PLC0415 - likewise
    from gateway.telemetry.decisions.explain_audit_line import AuditLineError, explain_audit_line  # noqa: PLC0415 - likewise

    settings = read_settings(config) if config is not None else None
    try:
        if decision is not None:
            fields = find_audit_line(
                decision, settings.audit if settings is not None else None, audit, sys.stdin.buffer
            )
            explanation = explain_audit_line(fields, settings.rules() if settings is not None else EXAMPLE_RULES)
        elif method is not None and url is not None:
            explanation = explain_request(
                settings, method, url, scope=scope, patient=patient, user=user, token=token, body=_read_body(body)
            )
        else:
            raise ExplainError("Give METHOD and URL, such as: GET '/Observation?code=1234-5'; or --decision ID.")
    except (ExplainError, AuditLineError) as error:
        fail(error, status=2)
    _print_explanation(explanation, as_json=as_json)
    raise SystemExit(1 if explanation.outcome == "refused" else 0)


def _read_body(path: Path | None) -> bytes | None:
    if path is None:
        return None
    return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()


def _print_explanation(explanation: "Explanation", *, as_json: bool) -> None:
    from gateway.commands.admin_api_client import printable  # noqa: PLC0415 - serve does not need it

    if as_json:
        print(json.dumps(asdict(explanation), indent=2))
    else:
        for line in explanation.all_lines():
            print(printable(str(line)))
