"""Redis, HAPI and the gateway in the cluster, installed by the chart as an operator installs it."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from scripts.chart_files import CHART
from scripts.image import CACHE
from scripts.install_once import say
from tests.kubernetes.cluster import Cluster, wait_until
from tests.kubernetes.programs import built
from tests.servers.load import load
from tests.servers.population import population_transactions
from tests.smart_server.running_server import BACKEND_KEY, CALLBACK, PASSWORD_HASH, SECRET, RunningServer, public_jwks

NAMESPACE = "fhir"
RELEASE = "gateway"
NAME = f"{RELEASE}-smart-fhir-gateway"
REDIS = f"{NAME}-redis"
HAPI = "hapi-hapi-fhir-jpaserver"
HINT = "Forgotten your password? Call 1234."
_MANIFESTS = Path(__file__).parent / "manifests"
_GATEWAY_PODS = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=gateway"


@dataclass
class Deployment:
    """The installed release, and ways to it from this machine."""

    cluster: Cluster
    public: socket.socket
    figures: dict[str, str] = field(default_factory=dict)
    relays: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def root(self) -> str:
        """The public URL without a path: a port of this machine that leads to the Service."""
        return f"http://127.0.0.1:{self.public.getsockname()[1]}"

    def kubectl(self, *words: str, text: str | None = None, check: bool = True) -> str:
        """The output of kubectl in the namespace of the release."""
        return self.cluster.kubectl("--namespace", NAMESPACE, *words, text=text, check=check)

    def get(self, *words: str) -> Any:
        """Objects of the namespace as JSON."""
        return self.cluster.get("--namespace", NAMESPACE, *words)

    def helm(self, *words: str, program: str = "helm") -> str:
        """The output of Helm 4, or of Helm 3 (`helm3`), in the namespace of the release."""
        done = self.cluster.run(built(program), "--namespace", NAMESPACE, *words)
        return done.stdout + done.stderr

    def keys(self) -> dict[str, Any]:
        """What was made once: the keys of the gateway, and the password of Redis."""
        return {name: self.get("secret", name)["data"] for name in (f"{NAME}-keys", REDIS)}

    def shell(self, commands: str, text: str = "") -> str:
        """The output of documented commands, in a folder of their own."""
        folder = tempfile.mkdtemp(dir=self.cluster.folder)
        path = f"export PATH={CACHE / 'bin'}:$PATH; cd {folder}"
        return self.cluster.run("bash", "-euc", f"{path}\n{commands}", text=text).stdout

    def gateway_pods(self) -> dict[str, str]:
        """The ready pods of the gateway that do not end, with their addresses."""
        return {
            pod["metadata"]["name"]: pod["status"]["podIP"]
            for pod in self.get("pods", "--selector", _GATEWAY_PODS)["items"]
            if "deletionTimestamp" not in pod["metadata"]
            and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
        }

    def relay(self, host: str, port: int, listening: socket.socket | None = None) -> str:
        """A URL of this machine that leads to an address of the cluster."""
        inherited = listening or listen()
        script = [sys.executable, str(Path(__file__).with_name("relay.py")), str(inherited.fileno())]
        command = self.cluster.command(*script, host, str(port))
        self.relays.append(subprocess.Popen(command, pass_fds=[inherited.fileno()]))
        url = f"http://127.0.0.1:{inherited.getsockname()[1]}"
        if listening is None:
            inherited.close()
        return url

    def install(self, *words: str, program: str = "helm") -> None:
        """`helm install` as an operator does it in front of HAPI."""
        file = self.cluster.folder / "values.json"
        file.write_text(json.dumps(chart_values(self.root)))
        values = ["--values", str(CHART / "values-hapi.yaml"), "--values", str(file)]
        self.helm("install", RELEASE, str(CHART), *values, *words, program=program)

    def upgrade(self, **changes: Any) -> None:
        """`helm upgrade` with the values of before and these changes; returns when all pods have them."""
        file = self.cluster.folder / "changes.json"
        file.write_text(json.dumps(changes))
        self.helm("upgrade", RELEASE, str(CHART), "--reuse-values", "--values", str(file), "--wait", "--timeout=180s")

    @contextlib.asynccontextmanager
    async def server(self) -> AsyncIterator[RunningServer]:
        """The SMART server behind the Service, for apps and people."""
        async with httpx2.AsyncClient(timeout=30, trust_env=False) as http:
            server = RunningServer(self.root, f"{self.root}/fhir", f"{self.root}/auth", http)
            try:
                yield server
            finally:
                for person in server.people:
                    await person.aclose()


def listen() -> socket.socket:
    """A listening socket on a free port of this machine."""
    return socket.create_server(("127.0.0.1", 0), backlog=512)


def chart_values(root: str) -> dict[str, Any]:
    """What an operator writes into a file of values, beside values-hapi.yaml."""
    app = {"redirect_uris": [CALLBACK], "launch_uris": ["https://app.example/launch"]}
    return {
        "config": {
            "public_base_url": f"{root}/fhir",
            # Only because the public URL is plain http.
            "development": True,
            "audit": {"hash_patient": True},
            "smart_server": {
                "sign_in_hint": HINT,
                "rate_limits": {"authorization_requests": 0, "token_requests": 0, "failed_grants": 0},
                "clients": [
                    {"client_id": "public-app", "name": "Growth Chart", **app},
                    {"client_id": "https://symmetric.example", "name": "Symmetric App", **app,
                     "type": "confidential-symmetric", "client_secret_file": "/etc/smart-gateway/secrets/app"},
                    {"client_id": "backend", "name": "Backend", "type": "confidential-asymmetric",
                     "grant_types": ["client_credentials"], "scopes": "system/Patient.rs",
                     "jwks": public_jwks(BACKEND_KEY)},
                ],
                "users": [{"username": "doctor", "name": "Dr Dora Demo", "password_hash": PASSWORD_HASH,
                           "fhir_user": "Practitioner/practitioner-1"}],
            },
        },
        "secrets": {"app": SECRET},
        "image": {"repository": "localhost/smart-fhir-gateway", "tag": "test"},
        "redis": {"image": {"repository": "localhost/servers", "tag": "test"}, "persistence": {"size": "1Gi"}},
        # Two cores have to do for all of it.
        "resources": {"requests": {"cpu": "20m"}},
        # HAPI starts meanwhile, and must be reachable for the stranger before the policy is there.
        "networkPolicy": {"server": {"create": False}},
    }  # fmt: skip


@contextlib.contextmanager
def deploy(cluster: Cluster) -> Iterator[Deployment]:
    """The release in front of HAPI with the population; all ready."""
    with listen() as public:
        deployment = Deployment(cluster, public)
        try:
            _install(deployment)
            yield deployment
        except Exception:
            say(deployment.kubectl("get", "pods,events", "--output=wide", check=False))
            say(deployment.kubectl("logs", "--selector", _GATEWAY_PODS, "--tail=20", "--prefix", check=False))
            raise
        finally:
            for relay in deployment.relays:
                relay.kill()
                relay.wait()


def _install(deployment: Deployment) -> None:
    started = time.monotonic()
    cluster, figures = deployment.cluster, deployment.figures
    cluster.kubectl("create", "namespace", NAMESPACE)
    # The strictest Pod Security: a pod that asks for more is refused.
    cluster.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    deployment.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    cluster.kubectl("apply", "--filename", "-", text=json.dumps(_volumes(cluster.folder)))
    for name in ("hapi", "stranger"):
        deployment.kubectl("apply", "--filename", str(_MANIFESTS / f"{name}.yaml"))
    deployment.install()
    deployment.kubectl("rollout", "status", f"statefulset/{REDIS}", "--timeout=180s")
    figures["Redis with Sentinel ready after"] = f"{time.monotonic() - started:.0f} s"
    deployment.kubectl("rollout", "status", f"deployment/{HAPI}", "--timeout=300s")
    figures["HAPI ready after"] = f"{time.monotonic() - started:.0f} s"
    deployment.kubectl("wait", "--for=condition=Ready", "pod/stranger", "--timeout=60s")
    hapi = deployment.get("service", HAPI)["spec"]["clusterIP"]
    load(f"{deployment.relay(hapi, 8080)}/fhir", population_transactions())
    deployment.kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=180s")
    figures["gateway ready after"] = f"{time.monotonic() - started:.0f} s"
    service = deployment.get("service", NAME)["spec"]
    deployment.relay(service["clusterIP"], service["ports"][0]["port"], deployment.public)
    wait_until(lambda: _is_ready(deployment.root), "the Service answers")


def _is_ready(root: str) -> bool:
    try:
        return httpx2.get(f"{root}/readyz", trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


def _volumes(folder: Path) -> dict[str, Any]:
    """A volume for each Redis, by hand, because nothing here makes them as a cluster with a storage class does."""
    volumes = []
    for number in range(3):
        place = folder / f"volume-{number}"
        place.mkdir()
        place.chmod(0o777)
        volumes.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": f"volume-{number}"},
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "hostPath": {"path": str(place), "type": "Directory"},
                },
            }
        )
    return {"apiVersion": "v1", "kind": "List", "items": volumes}
