"""What a change of the settings does to the pods: it replaces them, or they take it over themselves."""

import re
from typing import Any

import pytest
import yaml

from gateway.settings.serving.restart import NEEDS_RESTART
from scripts.chart_files import CHART
from tests.chart.helm import find, render
from tests.chart.values import BASE_URL

SERVER = {"base_url": "http://hapi:8080/fhir"}


def _checksum(config_change: str, **config: Any) -> str:
    manifests = render("values-hapi.yaml", configChange=config_change, config={"public_base_url": BASE_URL, **config})
    return str(find(manifests, "Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"])


def _watched(config_change: str) -> object:
    manifests = render("values-hapi.yaml", configChange=config_change)
    settings = yaml.safe_load(find(manifests, "ConfigMap", "smart-fhir-gateway")["data"]["gateway.yaml"])
    return settings.get("reload")


def test_by_default_every_change_replaces_the_pods_which_do_not_look_at_their_files() -> None:
    assert _checksum("restart") != _checksum("restart", log_level="debug")
    assert _watched("restart") == {"watch_seconds": None}


RELOADED: dict[str, dict[str, Any]] = {
    "the level of the log": {"log_level": "debug"},
    "a limit": {"limits": {"bundle_entries": 7}},
    "the proxies that are trusted": {"listen": {"trusted_proxies": ["10.0.0.0/8"]}},
    "an app": {
        "smart_server": {"clients": [{"client_id": "a", "name": "A", "redirect_uris": ["https://a.example/c"]}]}
    },
}
RESTARTED: dict[str, dict[str, Any]] = {
    "the FHIR server": {"upstream": SERVER},
    "the audit": {"audit": {"hash_patient": True}},
    "the issuer": {"smart_server": {"issuer": "https://fhir.example.org/login"}},
    "the time to drain": {"shutdown": {"drain_seconds": 7}},
}


@pytest.mark.parametrize("case", RELOADED)
def test_the_running_pods_take_over(case: str) -> None:
    assert _checksum("reload") == _checksum("reload", **RELOADED[case])


@pytest.mark.parametrize("case", RESTARTED)
def test_new_pods_come_for(case: str) -> None:
    assert _checksum("reload") != _checksum("reload", **RESTARTED[case])


def test_pods_that_take_it_over_look_at_their_files() -> None:
    assert _watched("reload") is None


def test_the_chart_knows_what_needs_a_restart() -> None:
    template = (CHART / "templates" / "_config.tpl").read_text(encoding="utf-8")
    [names] = re.findall(r"range \$name := list ([^}]*)}}", template)
    assert tuple(yaml.safe_load(f"[{', '.join(names.split())}]")) == NEEDS_RESTART
