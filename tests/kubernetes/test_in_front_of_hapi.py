"""The release as apps and strangers meet it: launch, search, refusal, revocation, and no way around the gateway."""

import json
import re
import subprocess
import time

import httpx2
import pytest

from scripts.install_once import ROOT
from tests.chart.helm import CUSTOM, render
from tests.kubernetes.cluster import wait_until
from tests.kubernetes.deployment import HAPI, HINT, NAME, NAMESPACE, RELEASE, Deployment
from tests.servers.people import B_MARKER, PATIENT_A, PATIENT_B
from tests.smart_server.smart_app import App
from tests.smart_server.worker_processes import app_at

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]

SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"


def _ask_as_a_stranger(deployment: Deployment, service: str, path: str) -> subprocess.CompletedProcess[str]:
    """A request of a pod that has nothing to do with the release."""
    url = f"http://{service}.{NAMESPACE}.svc.cluster.local{path}"
    command = ["exec", "stranger", "--", "curl", "--silent", "--show-error", "--max-time", "3", url]
    return deployment.cluster.run("kubectl", "--namespace", NAMESPACE, *command, check=False)


def test_with_the_policies_nobody_goes_around_the_gateway_or_its_ingress(deployment: Deployment) -> None:
    patient = f":8080/fhir/Patient/{PATIENT_B}"
    # Otherwise the refusals below would say nothing.
    assert PATIENT_B in _ask_as_a_stranger(deployment, HAPI, patient).stdout
    assert _ask_as_a_stranger(deployment, NAME, "/healthz").returncode == 0
    ingress = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}
    deployment.upgrade(networkPolicy={"server": {"create": True}, "appsFrom": [ingress]})
    for service, path in ((HAPI, patient), (NAME, "/healthz")):
        seconds = wait_until(
            lambda service=service, path=path: _ask_as_a_stranger(deployment, service, path).returncode != 0,  # type: ignore[misc]  # a lambda has no types
            f"the policy keeps the stranger away from {service}",
        )
        deployment.figures[f"{service} closed to others after"] = f"{seconds:.0f} s"
        tried = _ask_as_a_stranger(deployment, service, path)
        assert tried.stdout == "" and "curl" in tried.stderr


async def test_discovery_names_the_public_urls(deployment: Deployment) -> None:
    async with deployment.server() as server:
        smart = (await server.http.get(f"{server.base}/.well-known/smart-configuration")).json()
        assert smart["token_endpoint"] == f"{server.issuer}/token"
        statement = (await server.http.get(f"{server.base}/metadata", headers={"accept": "application/json"})).json()
        assert statement["implementation"]["url"] == server.base


async def test_an_app_is_launched_and_sees_its_patient_alone(deployment: Deployment) -> None:
    async with deployment.server() as server:
        app = server.app()
        person = server.person()
        page = await person.open(app.authorization_url(SCOPE))
        assert HINT in page.text
        tokens = await server.request_tokens(app, SCOPE, person=person)
        assert tokens["patient"] == PATIENT_A and "id_token" in tokens
        token = tokens["access_token"]
        found = await app.read("/Observation?_count=50", token)
        assert found.status_code == 200 and found.json()["entry"]
        assert B_MARKER not in found.text and HAPI not in found.text
        assert (await app.read(f"/Patient/{PATIENT_A}", token)).status_code == 200
        other = await app.read(f"/Patient/{PATIENT_B}", token)
        assert other.status_code == 404 and B_MARKER not in other.text
        assert (await app.read(f"/Patient/{PATIENT_A}", "no-token")).status_code == 401


def _pods(deployment: Deployment) -> list[str]:
    return [deployment.relay(address, 8080) for address in deployment.gateway_pods().values()]


async def test_two_pods_share_codes_and_a_code_is_used_once(deployment: Deployment) -> None:
    pods = _pods(deployment)
    assert len(pods) == 2
    async with deployment.server() as server:
        for first, second in (pods, pods[::-1]):
            app = server.app()
            code = await server.request_code(app, SCOPE)
            assert (await app_at(app, first).exchange(code)).status_code == 200
            assert (await app_at(app, second).exchange(code)).status_code == 400


async def _statuses(app: App, pods: list[str], token: str) -> set[int]:
    return {(await app_at(app, pod).read(f"/Patient/{PATIENT_A}", token)).status_code for pod in pods}


async def test_a_revocation_is_in_force_at_both_pods(deployment: Deployment) -> None:
    pods = _pods(deployment)
    async with deployment.server() as server:
        app = server.app()
        tokens = await server.request_tokens(app, SCOPE)
        token = tokens["access_token"]
        assert await _statuses(app, pods, token) == {200}
        started = time.monotonic()
        assert (await app_at(app, pods[0]).post("/revoke", {"token": tokens["refresh_token"]})).status_code == 200
        while await _statuses(app, pods, token) != {401}:
            assert time.monotonic() - started < 10
        deployment.figures["revocation in force at both pods after"] = f"{time.monotonic() - started:.2f} s"


def _documented(heading: str) -> str:
    """The commands of a section of docs/kubernetes.md."""
    section = (ROOT / "docs" / "kubernetes.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return section.partition("```\n")[2].partition("```")[0]


async def test_a_user_and_an_app_are_added_as_documented_and_the_app_is_launched(deployment: Deployment) -> None:
    # Here the password comes from a pipe, and the test is the app, which the last command would serve.
    commands, _ = _documented("4. A user and an app").replace("--stdin --tty", "--stdin").split("make app ")
    password = "correct-horse-battery"
    deployment.shell(commands, text=f"{password}\n{password}\n")
    (user, client_id, redirect_uri) = re.findall(r"users add (\S+)|--client-id (\S+)|--redirect-uri (\S+)", commands)
    async with deployment.server() as server:
        app = server.app(client_id[1], redirect_uri=redirect_uri[2])

        async def has_the_app_been_noticed() -> bool:
            page = await server.person().open(app.authorization_url(SCOPE))
            return bool(page.forms)

        deadline = time.monotonic() + 20
        while not await has_the_app_been_noticed():
            assert time.monotonic() < deadline
        person = server.person()
        page = await person.sign_in(await person.open(app.authorization_url(SCOPE)), user[0], password)
        page = await person.agree(await person.choose_patient(page, PATIENT_A))
        assert (await app.exchange(page.parameters["code"])).status_code == 200


def test_keys_can_be_brought_as_documented(deployment: Deployment) -> None:
    deployment.shell(_documented("Keys and secrets"))
    brought = deployment.get("secret", "gateway-keys")["data"]
    assert brought.keys() == deployment.get("secret", f"{NAME}-keys")["data"].keys()


def test_the_tests_of_the_chart_pass(deployment: Deployment) -> None:
    # Its pod may reach the gateway, although it is not the ingress.
    output = deployment.helm("test", RELEASE, "--logs", "--timeout=120s")
    for sentence in (
        "discovery: the SMART configuration names its endpoints, and S256 as the only challenge",
        "refusals: a request without a token is 401, with a challenge and nothing else",
        "authorization: it searches, and is refused what it was not granted",
        "authorization: its token ends when it is removed",
    ):
        assert f"ok       {sentence}" in output


def test_the_server_accepts_everything_that_can_be_turned_on(deployment: Deployment) -> None:
    deployment.cluster.kubectl("create", "namespace", "trial")
    deployment.cluster.kubectl("label", "namespace", "trial", "pod-security.kubernetes.io/enforce=restricted")
    # A pod must have its service account, which a dry run does not make.
    deployment.cluster.kubectl("--namespace", "trial", "create", "serviceaccount", NAME)
    manifests = [one for one in render("ci/everything-values.yaml") if one["apiVersion"] not in CUSTOM]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    words = ["apply", "--dry-run=server", "--validate=strict", "--filename", "-"]
    output = deployment.cluster.kubectl("--namespace", "trial", *words, text=text)
    for kind in ("deployment.apps", "ingress.networking.k8s.io", "networkpolicy.networking.k8s.io", "pod",
                 "horizontalpodautoscaler.autoscaling", "poddisruptionbudget.policy"):  # fmt: skip
        assert f"{kind}/gateway-smart-fhir-gateway" in output


def test_a_pod_needs_little_memory(deployment: Deployment) -> None:
    used = []
    for address in deployment.gateway_pods().values():
        metrics = httpx2.get(f"{deployment.relay(address, 9090)}/metrics", trust_env=False).text
        used += [float(line.split()[1]) for line in metrics.splitlines() if line.startswith("process_resident_memory")]
    deployment.figures["memory of the gateway's pods"] = ", ".join(f"{size / 2**20:.0f} MB" for size in used)
    assert len(used) == 2 and max(used) < 200 * 2**20
