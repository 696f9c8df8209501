"""`config` is the gateway's whole configuration: what its model refuses, the schema of the chart refuses too."""

from typing import Any

import pytest
import yaml

from scripts.chart_files import CHART, ROOT
from tests.chart.values import problems, read_values, schema


def _with_config(**config: Any) -> list[str]:
    return problems(read_values("values-hapi.yaml", changes={"config": config}))


def _as_values(values: Any, place: dict[str, Any]) -> Any:
    """Settings as they stand in the chart's values: secrets by file, and without what the chart decides."""
    place = _resolved(place)
    if isinstance(values, list):
        return [_as_values(item, place.get("items", {})) for item in values]
    if not isinstance(values, dict) or "properties" not in place:
        return values
    known = place["properties"]
    # Where a group has nothing but settings in comments, YAML has null.
    given = {name: value for name, value in values.items() if value is not None}
    kept = {name: _as_values(value, known[name]) for name, value in given.items() if name in known}
    files = {f"{name}_file": f"/etc/smart-gateway/secrets/{name}" for name in given if f"{name}_file" in known}
    return {**kept, **files}


def _resolved(place: dict[str, Any]) -> dict[str, Any]:
    for one in (place, *place.get("anyOf", ()), *place.get("oneOf", ())):
        if "$ref" in one:
            return dict(schema()["$defs"]["gateway"]["$defs"][one["$ref"].rpartition("/")[2]])
    return place


def test_the_configuration_with_every_setting_is_valid_as_values() -> None:
    settings = yaml.safe_load((ROOT / "config" / "gateway.yaml").read_text())
    values = read_values("values-hapi.yaml")
    values["config"] = _as_values(settings, schema()["$defs"]["gateway"])
    # Which of the two is used, is for the operator to say.
    values["config"].pop("authorization_server", None)
    assert problems(values) == []


@pytest.mark.parametrize(
    ("place", "config"),
    [
        pytest.param("$.config", {"log_levle": "info"}, id="a setting that there is not"),
        pytest.param("$.config.log_level", {"log_level": "loud"}, id="a word that is none of those allowed"),
        pytest.param("$.config.upstream.base_url", {"upstream": {"base_url": "hapi:8080"}}, id="no URL"),
        pytest.param("$.config.upstream.base_url", {"upstream": {"base_url": "http://h/f/"}}, id="a slash at the end"),
        pytest.param("$.config.upstream", {"upstream": {"base_url": "http://h/f", "pools": {}}}, id="a group misspelt"),
        pytest.param("$.config.smart_server", {"smart_server": {"admin_token": "a-secret"}}, id="a secret as a value"),
        pytest.param("$.config.smart_server", {"smart_server": {"store": "memory://"}}, id="what the chart decides"),
        pytest.param("$.config.listen", {"listen": {"port": 80}}, id="the port, which the chart decides"),
        pytest.param("$.config.smart_server.lifetimes.code_seconds",
                     {"smart_server": {"lifetimes": {"code_seconds": 6000}}}, id="a number above its maximum"),
        pytest.param("$.config.compartments.shared_types[0]", {"compartments": {"shared_types": ["Patien"]}},
                     id="a resource type that R4 has not"),
        pytest.param("$.config.smart_server.clients[0]", {"smart_server": {"clients": [{"client_id": "a"}]}},
                     id="a client without a name"),
        pytest.param("$.config.issuers[0].audiences", {"issuers": [{"issuer": "https://i.example", "audiences": []}]},
                     id="an issuer without an audience"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_with_its_place(place: str, config: dict[str, Any]) -> None:
    found = _with_config(**config)
    assert [text for text in found if text.startswith(place)], found


def test_a_right_one_is_not() -> None:
    assert _with_config(log_level="debug", audit={"hash_patient": True}) == []


def test_no_secret_can_be_written_into_the_config_map() -> None:
    text = (CHART / "values.schema.json").read_text()
    assert '"format": "password"' not in text


@pytest.mark.parametrize(
    ("place", "changes"),
    [
        pytest.param("$.config", {"config": {"smart_server": None}}, id="nobody issues tokens"),
        pytest.param("$.config", {"config": {"authorization_server": {"token_endpoint": "https://l.example/token"}}},
                     id="two authorization servers"),
        pytest.param("$.config.public_base_url", {"config": {"public_base_url": "http://fhir.example.org/r4"}},
                     id="plain http"),
        pytest.param("$.replicaCount", {"redis": {"enabled": False}}, id="several replicas without a store"),
        pytest.param("$.autoscaling.enabled", {"redis": {"enabled": False}, "autoscaling": {"enabled": True}},
                     id="a growing number of replicas without a store"),
        pytest.param("$.externalRedis.existingSecret", {"externalRedis": {"existingSecret": "redis"}}, id="two stores"),
        pytest.param("$.httpRoute.parentRefs", {"httpRoute": {"enabled": True}}, id="a route of no Gateway"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_together_are_refused(place: str, changes: dict[str, Any]) -> None:
    assert problems(read_values("values-hapi.yaml")) == []
    found = problems(read_values("values-hapi.yaml", changes=changes))
    assert [text for text in found if text.startswith(place)], found


def test_a_policy_for_the_pods_of_no_server_is_refused() -> None:
    config = {"upstream": {"base_url": "https://fhir.example.org/fhir"}, "issuers": [
        {"issuer": "https://i.example", "audiences": ["https://fhir.example.org/r4"], "jwks_url": "https://i.example/k"}
    ]}  # fmt: skip
    (problem,) = problems(read_values(changes={"config": config}))
    assert problem.startswith("$.networkPolicy.server.podLabels: ")
    no_policy = {"server": {"create": False}}
    assert problems(read_values(changes={"config": config, "networkPolicy": no_policy})) == []
