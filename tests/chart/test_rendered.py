"""What the chart renders: valid for the oldest and newest Kubernetes, restricted, with settings that are accepted."""

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.settings.loading.load import load_settings
from scripts.chart_files import CHART, MONITORING
from tests.chart.helm import CUSTOM, Manifest, find, lint, render, run

# The oldest that Chart.yaml's kubeVersion lets in, and the newest that there is.
VERSIONS = ("1.30", "1.37")
FILES = [("values-hapi.yaml",), *[(f"ci/{file.name}",) for file in sorted(CHART.glob("ci/*.yaml"))]]
# Base64 of 32 bytes, as every kind of secret may be.
_KEY = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="


@pytest.fixture(scope="module", params=FILES, ids=lambda names: Path(names[0]).stem)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return render(*request.param)


@pytest.mark.parametrize("names", FILES, ids=lambda names: Path(names[0]).stem)
@pytest.mark.parametrize("program", ["helm", "helm3"])
def test_lint_finds_nothing(program: str, names: tuple[str, ...]) -> None:
    done = lint(*names, program=program)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_and_has_no_unknown_field(manifests: list[Manifest], version: str) -> None:
    for manifest in manifests:
        if manifest["apiVersion"] not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_oldest_version_is_that_of_the_chart() -> None:
    assert f">={VERSIONS[0]}.0-0" == yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]


def _pods(manifests: list[Manifest]) -> list[dict[str, Any]]:
    sets = [one for one in manifests if one["kind"] in {"Deployment", "StatefulSet"}]
    return [one["spec"] for one in manifests if one["kind"] == "Pod"] + [
        one["spec"]["template"]["spec"] for one in sets
    ]


def test_every_pod_is_restricted_and_has_no_token(manifests: list[Manifest]) -> None:
    for pod in _pods(manifests):
        assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] >= 1
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


def test_the_gateway_accepts_the_rendered_settings(manifests: list[Manifest], tmp_path: Path) -> None:
    """Its files are those of the pod, with made-up contents."""
    text = find(manifests, "ConfigMap", "smart-fhir-gateway")["data"]["gateway.yaml"]
    for name in set(re.findall(r"/etc/smart-gateway/(\S+)", text)):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("redis://redis.example:6379" if name == "store/url" else _KEY)
    config = tmp_path / "gateway.yaml"
    config.write_text(text.replace("/etc/smart-gateway", str(tmp_path)))
    settings = load_settings(config, {})
    assert settings.paging.key is not None and settings.listen.host == "0.0.0.0"


def test_the_pod_outlives_its_drain(manifests: list[Manifest]) -> None:
    settings = yaml.safe_load(find(manifests, "ConfigMap", "smart-fhir-gateway")["data"]["gateway.yaml"])
    deployment = find(manifests, "Deployment")["spec"]["template"]["spec"]
    sleep = deployment["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    longest = sleep + settings["shutdown"]["drain_seconds"] + settings["shutdown"]["finish_seconds"]
    assert deployment["terminationGracePeriodSeconds"] > longest


AUDIT = {"audit": {"events": {"spool": "/var/lib/smart-gateway/audit", "file": "/var/lib/smart-gateway/events.ndjson"}}}


@pytest.mark.parametrize(
    ("changes", "volume"),
    [
        pytest.param({}, None, id="no volume without AuditEvents"),
        pytest.param({"config": AUDIT}, {"emptyDir": {"sizeLimit": "1Gi"}}, id="room on the node"),
        pytest.param(
            {"config": AUDIT, "auditVolume": {"existingClaim": "spools"}},
            {"persistentVolumeClaim": {"claimName": "spools"}},
            id="a claim that all pods share",
        ),
    ],
)
def test_audit_events_wait_in(changes: dict[str, Any], volume: dict[str, Any] | None) -> None:
    pod = find(render("values-hapi.yaml", **changes), "Deployment")["spec"]["template"]["spec"]
    volumes = [one for one in pod["volumes"] if one["name"] == "audit"]
    mounts = [one["mountPath"] for one in pod["containers"][0]["volumeMounts"] if one["name"] == "audit"]
    assert volumes == ([] if volume is None else [{"name": "audit", **volume}])
    assert mounts == ([] if volume is None else ["/var/lib/smart-gateway"])


def test_every_policy_names_both_directions_or_is_for_the_server(manifests: list[Manifest]) -> None:
    for policy in (one for one in manifests if one["kind"] == "NetworkPolicy"):
        is_servers = policy["metadata"]["name"].endswith("-fhir-server")
        assert policy["spec"]["policyTypes"] == (["Ingress"] if is_servers else ["Ingress", "Egress"])


def test_the_server_lets_in_the_pods_that_the_gateway_has() -> None:
    manifests = render("values-hapi.yaml")
    labels = find(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    (rule, _) = find(manifests, "NetworkPolicy", "-fhir-server")["spec"]["ingress"]
    (peer,) = rule["from"]
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()


def test_rules_and_dashboard_are_those_of_the_project() -> None:
    manifests = render("ci/everything-values.yaml")
    rules = yaml.safe_load((MONITORING / "rules.yaml").read_text())
    assert find(manifests, "PrometheusRule")["spec"] == rules
    (dashboard,) = find(manifests, "ConfigMap", "-dashboard")["data"].values()
    assert json.loads(dashboard) == json.loads((MONITORING / "dashboard.json").read_text())


def test_the_monitors_find_the_port_of_the_pods() -> None:
    manifests = render("ci/everything-values.yaml")
    ports = {
        port["name"] for port in find(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]["ports"]
    }
    service = find(manifests, "Service", "-metrics")
    assert find(manifests, "PodMonitor")["spec"]["podMetricsEndpoints"][0]["port"] in ports
    assert find(manifests, "ServiceMonitor")["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    selected = find(manifests, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert selected.items() <= service["metadata"]["labels"].items()


def _annotations(**changes: Any) -> dict[str, str]:
    deployment = find(render("values-hapi.yaml", **changes), "Deployment")
    return dict(deployment["spec"]["template"]["metadata"]["annotations"])


def test_a_changed_setting_or_secret_rolls_the_pods_and_nothing_else_does() -> None:
    first = _annotations()
    assert _annotations() == first
    assert _annotations(config={"log_level": "debug"}) != first
    assert _annotations(secrets={"app": "a-long-secret"}) != first
    assert _annotations(replicaCount=3) == first


@pytest.mark.parametrize(
    ("sentence", "changes"),
    [
        pytest.param("log_level", {"config": {"log_level": "loud"}}, id="a wrong setting"),
        pytest.param("'replicas' not allowed", {"replicas": 3}, id="a value that there is not"),
    ],
)  # fmt: skip
def test_lint_refuses(sentence: str, changes: dict[str, Any]) -> None:
    done = lint("values-hapi.yaml", **changes)
    assert done.returncode != 0 and sentence in done.stdout + done.stderr, done.stdout


def test_the_unit_tests_of_the_chart_pass() -> None:
    done = run("helm-unittest", str(CHART))
    assert done.returncode == 0, done.stdout
