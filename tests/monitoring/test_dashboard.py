"""The dashboard: as its source says, readable, and with expressions that Prometheus parses."""

import json
import re
import subprocess
from pathlib import Path

from scripts.write_dashboard import DASHBOARD, dashboard_text
from tests.monitoring.monitoring_files import dashboard, dashboard_expressions, find_tool, panels, records

OPERATING = (Path(__file__).resolve().parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
_METRIC = re.compile(r"\b(smart_gateway_\w+|process_\w+)\b")


def test_the_file_is_as_its_source_says() -> None:
    assert DASHBOARD.read_text(encoding="utf-8") == dashboard_text(), "run: python -m scripts.write_dashboard"


def test_there_is_a_row_for_each_part_of_the_gateway() -> None:
    rows = [panel["title"] for panel in dashboard()["panels"] if panel["type"] == "row"]
    assert rows == ["Traffic", "Refusals", "Enforcement", "FHIR server", "SMART server", "Store", "Process"]


def test_every_panel_can_be_read_by_itself() -> None:
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


def test_no_panel_covers_another() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])


def test_every_expression_uses_the_variables_and_every_variable_is_used() -> None:
    variables = {variable["name"] for variable in dashboard()["templating"]["list"]}
    assert variables == {"datasource", "job", "instance", "client"}
    text = DASHBOARD.read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{?([a-z_]+)", text)) - {"__rate_interval", "__all"}
    assert used == variables
    for panel in panels():
        for target in panel["targets"]:
            assert '{job=~"$job",instance=~"$instance"' in target["expr"], panel["title"]


def test_every_expression_is_parsed_by_prometheus(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(dashboard_expressions().values())]
    file = tmp_path / "expressions.yaml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    checked = subprocess.run(
        [find_tool("promtool"), "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout


def test_the_dashboard_shows_every_metric_that_is_documented() -> None:
    shown = {
        name.removesuffix("_bucket") for text in dashboard_expressions().values() for name in _METRIC.findall(text)
    }
    documented = set(re.findall(r"`(smart_gateway_\w+)`", OPERATING))
    assert documented <= shown
    assert {name for name in shown if name.startswith("smart_gateway_")} <= documented
    assert not shown & set(records())
