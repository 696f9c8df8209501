"""The files of values in docs/kubernetes.md are valid, with those that they are used with."""

import re
from typing import Any

import yaml

from scripts.chart_files import ROOT
from tests.chart.values import problems, read_values

_PAGE = ROOT / "docs" / "kubernetes.md"


def _blocks() -> list[dict[str, Any]]:
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", _PAGE.read_text(), re.DOTALL)]


def test_the_values_of_the_page_are_valid() -> None:
    hapi, *gateway = _blocks()
    assert hapi["ingress"] == {"enabled": False}
    assert len(gateway) == 2
    for changes in gateway:
        assert problems(read_values("values-hapi.yaml", changes=changes)) == []


def test_the_address_of_hapi_is_the_same_on_both_sides() -> None:
    extra = yaml.safe_load(_blocks()[0]["extraConfig"])
    address = extra["hapi"]["fhir"]["server_address"]
    assert address == read_values("values-hapi.yaml")["config"]["upstream"]["base_url"]
