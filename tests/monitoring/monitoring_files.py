"""The files of deploy/monitoring, read as Prometheus and Grafana read them."""

import json
import shutil
from typing import Any

import pytest
import yaml

from tests.servers.process import ROOT

FOLDER = ROOT / "deploy" / "monitoring"


def rule_groups() -> list[dict[str, Any]]:
    """The groups of recording and alert rules."""
    groups: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules.yaml").read_text(encoding="utf-8"))["groups"]
    return groups


def alerts() -> dict[str, dict[str, Any]]:
    """The alert rules by name."""
    return {rule["alert"]: rule for group in rule_groups() for rule in group["rules"] if "alert" in rule}


def records() -> dict[str, str]:
    """The expressions of the recording rules by name."""
    return {rule["record"]: rule["expr"] for group in rule_groups() for rule in group["rules"] if "record" in rule}


def dashboard() -> dict[str, Any]:
    """The Grafana dashboard."""
    read: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    return read


def panels() -> list[dict[str, Any]]:
    """Its panels, without the rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def dashboard_expressions() -> dict[str, str]:
    """Its expressions by panel and legend, as Grafana sends them where all of each variable is chosen."""
    expressions = {}
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "10s")
            for variable in ("$job", "$instance", "$client"):
                expression = expression.replace(variable, ".*")
            expressions[f"{panel['title']}: {target['legendFormat']}"] = expression
    return expressions


def find_tool(*names: str) -> str:
    """The first of these programs that is installed; without any, the test is skipped and says so."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip(f"{names[0]} is not installed on this machine")
