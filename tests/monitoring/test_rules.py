"""The rules: valid, tried out by Prometheus' own tests, and each alert with a runbook."""

import re
import subprocess

import yaml

from gateway.commands.serving.client_connections.connections import Ended
from gateway.fhir.resources.page_target import PAGING_RELATIONS
from gateway.policy.reasons import Reason
from gateway.settings.loading.settings_table import settings_table
from gateway.smart_server.events.watched_store import FAILED, OK
from gateway.telemetry.server_event import LIMITS, EventKind
from gateway.upstream.documents.document_types import FetchOutcome, FetchPurpose
from tests.monitoring.monitoring_files import FOLDER, alerts, find_tool, records
from tests.servers.process import ROOT
from tests.spec.manifest import has_anchor

RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rules_are_valid_and_do_what_their_tests_say() -> None:
    promtool = find_tool("promtool")
    _run(promtool, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
    _run(promtool, "test", "rules", "rules_test.yaml")
    _run(promtool, "check", "config", "--syntax-only", "prometheus.yaml")


def test_the_configuration_of_alertmanager_is_valid() -> None:
    _run(find_tool("amtool"), "check-config", "alertmanager.yaml")


def test_every_alert_fires_in_a_test_and_none_in_that_of_a_healthy_gateway() -> None:
    tests = yaml.safe_load((FOLDER / "rules_test.yaml").read_text(encoding="utf-8"))["tests"]
    cases = [case for test in tests for case in test.get("promql_expr_test", [])]
    fired = {alert for case in cases for alert in re.findall(r'alertname="(\w+)"', str(case["exp_samples"]))}
    assert fired == set(alerts())
    assert (tests[0]["name"], cases[0]["exp_samples"]) == ("a healthy gateway raises no alert", [])


# What the labels that the rules ask for can say.
LABEL_VALUES: dict[str, set[str]] = {
    "reason": {reason.value for reason in Reason},
    "event": {kind.value for kind in EventKind},
    "limit": set(LIMITS),
    "document": {purpose.value for purpose in FetchPurpose},
    "outcome": {OK, FAILED, *(outcome.value for outcome in FetchOutcome)},
    "relation": set(PAGING_RELATIONS),
    "state": {"in_use", "idle"},
    "result": {"hit", "miss"},
    "cause": {cause.value for cause in Ended},
    "status": {"5xx"},
}


def test_the_rules_ask_for_metrics_and_labels_that_exist() -> None:
    text = " ".join([*records().values(), *(str(alert["expr"]) for alert in alerts().values())])
    operating = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(smart_gateway_\w+)`", operating))
    asked = {name.removesuffix("_bucket") for name in re.findall(r"(?<!:)\bsmart_gateway_\w+", text)}
    assert asked <= documented
    for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', text):
        values = LABEL_VALUES[label]
        for alternative in value.split("|") if operator.endswith("~") else [value]:
            assert any(re.fullmatch(alternative, known) for known in values), f'{label}{operator}"{value}"'


def test_every_alert_says_what_it_is_about_and_how_grave_it_is() -> None:
    for name, alert in alerts().items():
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}, name
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}, name
        assert not alert["annotations"]["summary"].endswith("."), name
        assert alert["annotations"]["description"].endswith("."), name


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert re.findall(r"^### (\w+)$", RUNBOOKS, re.MULTILINE) == list(alerts())
    for alert in alerts().values():
        assert has_anchor(alert["annotations"]["runbook_url"]), alert["alert"]


def test_the_settings_that_the_runbooks_name_exist() -> None:
    table = settings_table()
    named = {
        name for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", RUNBOOKS) if not name.endswith((".yaml", ".json"))
    }
    known = {name.replace("[]", "") for name in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)}
    assert "upstream.pool.connections" in named
    assert {name for name in named if not any(key == name or key.startswith(f"{name}.") for key in known)} == set()
