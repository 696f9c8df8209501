"""`smart-gateway explain` never says yes to what the gateway refuses, and says which setting decides."""

import contextlib
import http.server
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from gateway.commands.explaining.explain_error import ExplainError
from gateway.commands.explaining.explain_request import explain_request
from gateway.commands.explaining.find_audit_line import find_audit_line
from gateway.credentials.development_key import public_jwks, sign_access_token
from gateway.fhir.request.interaction import Read
from gateway.fhir.request.parse_request import parse_request
from gateway.policy.decision.explanation import Explanation, Outcome
from gateway.policy.reasons import Reason
from gateway.scopes.parse_scopes import parse_scopes
from gateway.settings.model import Settings
from gateway.telemetry.audit_log import AuditLog
from gateway.telemetry.decisions.explain_audit_line import explain_audit_line
from gateway.telemetry.line_writer import LineWriter
from tests.servers.ports import free_port
from tests.telemetry.request_records import access, request_record

BASE = "http://127.0.0.1:8080/fhir"
ISSUER = "https://login.example.org"
KEY = ECKey.generate_key("P-256", auto_kid=True)
OTHER_KEY = ECKey.generate_key("P-256", auto_kid=True)
IMPOSTOR = ECKey.import_key({**OTHER_KEY.as_dict(private=True), "kid": str(KEY.kid)})

RELATED = {"resourceType": "RelatedPerson", "id": "1", "patient": {"reference": "Patient/A"}}


@contextlib.contextmanager
def statement_server(*declared: str, version: str = "4.0.1") -> Iterator[str]:
    """A FHIR server with one RelatedPerson. It declares these parameters of Observation."""
    parameters = [{"name": name, "type": "reference"} for name in declared]
    resource = {"type": "Observation", "searchParam": parameters}
    rest = [{"mode": "server", "resource": [resource]}]
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": version, "rest": rest}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            documents = {"/fhir/metadata": statement, f"/fhir/RelatedPerson/{RELATED['id']}": RELATED}
            body = json.dumps(documents.get(self.path, {})).encode()
            self.send_response(200 if self.path in documents else 404)
            self.send_header("content-type", "application/fhir+json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/fhir"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def fhir_server() -> Iterator[str]:
    with statement_server("patient", "subject", "code") as base_url:
        yield base_url


def make_settings(folder: Path, upstream: str = "http://127.0.0.1:9/fhir", **issuer: Any) -> dict[str, Any]:
    """A configuration with one issuer, whose keys are in a file unless `issuer` says where they are."""
    jwks = folder / "jwks.json"
    jwks.write_text(json.dumps(public_jwks(KEY)), encoding="ascii")
    keys = {} if "jwks_url" in issuer else {"jwks_file": str(jwks)}
    return {
        "public_base_url": BASE,
        "development": True,
        "upstream": {"base_url": upstream},
        "issuers": [{"issuer": ISSUER, "audiences": [BASE], **keys, **issuer}],
        "audit": {"destination": str(folder / "audit.jsonl")},
    }


def make_token(key: ECKey = KEY, **changes: Any) -> str:
    """A token that is accepted, with changes."""
    claims = {
        "iss": ISSUER, "aud": BASE, "sub": "someone", "client_id": "app", "scope": "patient/*.rs", "patient": "A",
        "exp": int(time.time()) + 300, **changes,
    }  # fmt: skip
    return sign_access_token(key, claims)


def explain_token(settings: Mapping[str, Any] | None, token: str, url: str = "/Observation") -> Explanation:
    read = None if settings is None else Settings.model_validate(settings)
    return explain_request(read, "GET", url, scope=None, patient=None, user=None, token=token)


REFUSED_TOKENS: dict[str, tuple[dict[str, Any], Reason, str]] = {
    "an unknown issuer": (
        {"iss": "https://other.example"},
        Reason.TOKEN_ISSUER_UNKNOWN,
        f"Token         issuers[].issuer: {ISSUER}",
    ),
    "another audience": ({"aud": "x"}, Reason.TOKEN_AUDIENCE_WRONG, f"Token         issuers[0].audiences: {BASE}"),
    "an end in the past": ({"exp": 1}, Reason.TOKEN_EXPIRED, "Token         issuers[0].clock_skew_seconds: 30.0"),
    "a begin in the future": (
        {"nbf": int(time.time()) + 3600},
        Reason.TOKEN_NOT_YET_VALID,
        "Token         issuers[0].clock_skew_seconds: 30.0",
    ),
    "the claims of an id_token": (
        {"nonce": "n"},
        Reason.TOKEN_NOT_AN_ACCESS_TOKEN,
        "Because of    it has the claim nonce of an id or logout token",
    ),
    "no client": ({"client_id": None}, Reason.TOKEN_CLAIMS_INVALID, "Because of    client_id: is missing"),
    "a key that is not published": (
        {"key": OTHER_KEY},
        Reason.TOKEN_KEY_UNKNOWN,
        f"Token         the token says kid: {OTHER_KEY.kid}",
    ),
    "a signature by another key": (
        {"key": IMPOSTOR},
        Reason.TOKEN_SIGNATURE_INVALID,
        "Because of    the signature is not the key's",
    ),
}


@pytest.mark.parametrize(("changes", "reason", "line"), REFUSED_TOKENS.values(), ids=REFUSED_TOKENS)
def test_a_token_is_refused_for(tmp_path: Path, changes: dict[str, Any], reason: Reason, line: str) -> None:
    explanation = explain_token(make_settings(tmp_path), make_token(**changes))
    assert (explanation.outcome, explanation.reason) == (Outcome.REFUSED, reason)
    assert line in [str(told) for told in explanation.all_lines()]
    assert explanation.remedies


def test_the_setting_of_the_algorithms_decides(tmp_path: Path) -> None:
    explanation = explain_token(make_settings(tmp_path, algorithms=["RS256"]), make_token())
    assert explanation.reason is Reason.TOKEN_ALGORITHM_REFUSED
    assert "Token         issuers[0].algorithms: RS256" in map(str, explanation.lines)


def test_a_token_that_is_accepted_is_explained_as_checked(tmp_path: Path, fhir_server: str) -> None:
    explanation = explain_token(make_settings(tmp_path, fhir_server), make_token())
    assert explanation.outcome is Outcome.PERMITTED
    assert str(explanation.lines[0]) == "Note          the token was checked as the running gateway checks it"


def test_a_token_that_is_bound_to_a_certificate_is_said_to_be(tmp_path: Path, fhir_server: str) -> None:
    thumbprint = "oBS2eLPrsHH6IRPvS3JF9e3Ug7HTcgLxTNDGW5C-mdc"
    settings = make_settings(tmp_path, fhir_server)
    explanation = explain_token(settings, make_token(cnf={"x5t#S256": thumbprint}))
    assert f"Certificate   the token serves only with the certificate of x5t#S256 {thumbprint}; otherwise 401" in map(
        str, explanation.lines
    )
    assert explain_token(settings, make_token(cnf={"jkt": "x"})).reason is Reason.TOKEN_CLAIMS_INVALID


def test_without_the_keys_everything_but_the_signature_is_checked(tmp_path: Path, fhir_server: str) -> None:
    settings = make_settings(tmp_path, fhir_server, jwks_url=f"http://127.0.0.1:{free_port()}/jwks")
    explanation = explain_token(settings, make_token())
    assert explanation.outcome is Outcome.DEPENDS
    assert str(explanation.lines[-1]) == "Provided that the signature of the token is valid; otherwise 401"
    assert explain_token(settings, make_token(aud="x")).reason is Reason.TOKEN_AUDIENCE_WRONG
    assert explain_token(settings, make_token(client_id=None)).reason is Reason.TOKEN_CLAIMS_INVALID


def test_what_the_fhir_server_declares_decides_as_in_the_running_gateway(tmp_path: Path) -> None:
    token = make_token()
    with statement_server("code") as base_url:
        settings = make_settings(tmp_path, base_url) | {"compartments": {"search_without_narrowing": "refuse"}}
        assert explain_token(settings, token).reason is Reason.SEARCH_NOT_NARROWED
    with statement_server("code", version="3.0.2") as base_url:
        explanation = explain_token(make_settings(tmp_path, base_url), token)
        assert explanation.reason is Reason.UPSTREAM_VERSION_UNSUPPORTED
    unreachable = make_settings(tmp_path, f"http://127.0.0.1:{free_port()}/fhir")
    search, read = (explain_token(unreachable, token, url) for url in ("/Observation", "/Observation/1"))
    assert "upstream_unreachable" in str(search.lines[-1])
    assert search.outcome is read.outcome is Outcome.DEPENDS
    assert str(read.lines[-1]).startswith("Outcome       404, unless the record is")


def test_the_user_is_looked_up_as_in_the_running_gateway(tmp_path: Path, fhir_server: str) -> None:
    settings = make_settings(tmp_path, fhir_server)
    known, unknown = (
        explain_token(settings, make_token(scope="user/*.rs", fhirUser=f"RelatedPerson/{number}")) for number in "12"
    )
    assert "Reach         user/ scopes reach the compartment of Patient/A" in map(str, known.lines)
    assert known.outcome is Outcome.PERMITTED
    assert unknown.reason is Reason.USER_REACH_UNKNOWN
    away = explain_token(make_settings(tmp_path), make_token(scope="user/*.rs", fhirUser="RelatedPerson/1"))
    assert away.outcome is Outcome.DEPENDS


def test_without_a_configuration_a_permission_is_in_doubt_and_an_old_token_is_refused() -> None:
    explanation = explain_token(None, make_token())
    assert explanation.outcome is Outcome.DEPENDS
    assert str(explanation.lines[-1]) == "Provided that a gateway accepts the token; otherwise 401"
    assert explain_token(None, make_token(exp=1)).reason is Reason.TOKEN_EXPIRED


def test_a_whole_url_below_the_public_base_is_the_path_below_it(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    token = make_token()
    below, path = (explain_token(settings, token, url) for url in (f"{BASE}/Patient?_id=A", "/Patient?_id=A"))
    assert below == path
    with pytest.raises(ExplainError, match="does not lie below"):
        explain_token(settings, token, "https://other.example/fhir/Patient")
    with pytest.raises(ExplainError, match="does not lie below"):
        explain_token(settings, token, f"{BASE}x/Patient")


def audit_line(**changes: Any) -> dict[str, Any]:
    """An audit line as it is written and found again."""
    line = AuditLog(LineWriter(1, close_descriptor=False)).encode_request(request_record(**changes))
    other = line.replace(b'"decision_id":"5f0c-1"', b'"decision_id":"5f0c-11"')
    return find_audit_line("5f0c-1", None, Path("-"), io.BytesIO(b"not JSON 5f0c-1\n" + other + line))


def test_a_decision_is_explained_by_its_audit_line_alone() -> None:
    scopes = parse_scopes("patient/Observation.r?category=laboratory patient/Condition.rs").scopes
    search = parse_request("GET", b"/Observation", b"code=secret", {}, b"")
    line = audit_line(
        access=access(scopes=scopes), interaction=search, reason=Reason.SCOPE_INSUFFICIENT, status=403, kept=0
    )
    explanation = explain_audit_line(line, Settings.model_validate(minimal_settings()).rules())
    told = [str(line) for line in explanation.all_lines()]
    assert explanation.outcome is Outcome.REFUSED
    assert "Parameters    code (values are not in the audit line)" in told
    assert "Scope         patient/Condition.rs: is about Condition, not Observation" in told
    assert told[-1] == "Would help    the scope patient/Observation.s"
    assert "secret" not in str(told)


def test_a_decision_on_the_record_or_the_parameters_is_explained_in_general() -> None:
    line = audit_line(
        access=access(scopes=parse_scopes("patient/*.rs").scopes),
        interaction=Read("Observation", "1"),
        reason=Reason.OUT_OF_REACH,
        status=404,
    )
    explanation = explain_audit_line(line, Settings.model_validate(minimal_settings()).rules())
    assert explanation.reason is Reason.OUT_OF_REACH
    assert "compartments.membership" in explanation.remedies[0]


def test_what_was_permitted_or_had_no_token_is_explained_as_well() -> None:
    rules = Settings.model_validate(minimal_settings()).rules()
    permitted = explain_audit_line(audit_line(), rules)
    assert permitted.outcome is Outcome.PERMITTED
    assert str(permitted.lines[-1]) == "Outcome       permitted, 200; 3 resources shown, held back: 2 Condition"
    refused = explain_audit_line(audit_line(access=None, interaction=None, reason=Reason.TOKEN_EXPIRED), rules)
    assert (refused.reason, len(refused.remedies)) == (Reason.TOKEN_EXPIRED, 1)


def test_a_decision_that_is_in_no_line_cannot_be_explained() -> None:
    with pytest.raises(ExplainError, match="No audit line"):
        find_audit_line("5f0c-2", None, Path("-"), io.BytesIO(b"{}\n"))
    with pytest.raises(ExplainError, match="--audit FILE"):
        find_audit_line("5f0c-2", None, None, io.BytesIO())


def minimal_settings() -> dict[str, Any]:
    return {
        "public_base_url": BASE,
        "development": True,
        "upstream": {"base_url": "http://127.0.0.1:9/fhir"},
        "smart_server": {},
    }


def run(*words: str) -> tuple[int, str, str]:
    """Run the command; its exit status, standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "explain", *words], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_the_exit_status_is_one_for_a_refusal_and_two_where_nothing_can_be_said(tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(json.dumps(make_settings(tmp_path)), encoding="utf-8")
    status, output, _ = run("--config", str(config), "--token", make_token(exp=1), "--json", "GET", "/Patient/A")
    told = json.loads(output)
    assert (status, told["outcome"], told["reason"]) == (1, "refused", "token_expired")
    assert told["remedies"]
    assert run("--config", str(config), "--token", make_token(), "GET", "/Patient?_id=A")[0] == 0
    assert run("GET", "/Patient/A")[0] == 2
    log = AuditLog.from_settings(Settings.model_validate(make_settings(tmp_path)).audit)
    log.add_request(request_record(reason=Reason.SCOPE_INSUFFICIENT, status=403))
    log.close()
    status, output, _ = run("--config", str(config), "--decision", "5f0c-1")
    assert status == 1
    assert "Outcome       refused, 403 scope_insufficient" in output
