"""Write the Grafana dashboard, deploy/monitoring/dashboard.json, from scripts/dashboard_panels.py.

python -m scripts.write_dashboard
"""

import json
from pathlib import Path
from typing import Any

from scripts.dashboard_panels import ROWS, Panel

DASHBOARD = Path(__file__).resolve().parents[1] / "deploy" / "monitoring" / "dashboard.json"
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Grafana's grid has 24 columns.
_WIDTH, _HEIGHT, _SINGLE_HEIGHT, _PER_LINE = 8, 8, 4, 3
# The variables, each chosen among the values of a label.
_VARIABLES = {
    "job": "label_values(smart_gateway_build_info, job)",
    "instance": 'label_values(smart_gateway_build_info{job=~"$job"}, instance)',
    "client": 'label_values(smart_gateway_client_decisions_total{job=~"$job"}, client)',
}


def dashboard_text() -> str:
    """The dashboard as JSON."""
    dashboard = {
        "uid": "smart-fhir-gateway",
        "title": "SMART FHIR gateway",
        "description": "Traffic, refusals and enforcement of smart-fhir-gateway, and the servers that it depends on.",
        "tags": ["fhir", "smart"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_data_source(), *(_variable(name, query) for name, query in _VARIABLES.items())]},
        "panels": _panels(),
    }
    return json.dumps(dashboard, indent=1) + "\n"


def _data_source() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
        "sort": 1,
    }


def _panels() -> list[dict[str, Any]]:
    """All rows and panels, each with its place in the grid."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in ROWS:
        place = {"x": 0, "y": top, "w": 24, "h": 1}
        panels.append({"id": len(panels) + 1, "type": "row", "title": row.title, "gridPos": place, "panels": []})
        top += 1
        for start in range(0, len(row.panels), _PER_LINE):
            line = row.panels[start : start + _PER_LINE]
            height = _SINGLE_HEIGHT if all(panel.is_single for panel in line) else _HEIGHT
            for column, panel in enumerate(line):
                place = {"x": column * _WIDTH, "y": top, "w": _WIDTH, "h": height}
                panels.append({"id": len(panels) + 1, "gridPos": place, **_panel(panel)})
            top += height
    return panels


def _panel(panel: Panel) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
        for number, (legend, expression) in enumerate(panel.expressions.items())
    ]
    options: dict[str, Any] = {"reduceOptions": {"calcs": ["lastNotNull"]}} if panel.is_single else {
        "legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"},
    }  # fmt: skip
    return {
        "type": "stat" if panel.is_single else "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": options,
        "targets": targets,
    }


if __name__ == "__main__":
    DASHBOARD.write_text(dashboard_text(), encoding="utf-8")
