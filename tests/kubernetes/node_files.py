"""The files that the programs of the node read: configuration, certificates, credentials."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

NODE = "node-1"
ADDRESS = "10.245.0.1"
API = "https://127.0.0.1:6443"
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.0/16"
PAUSE_IMAGE = "localhost/pause:test"

_USERS = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "node": (f"system:node:{NODE}", "system:nodes"),
}


def write_node_files(folder: Path) -> None:
    """Write all of them into the folder."""
    for name in ("logs", "pki", "cni", "kubelet"):
        (folder / name).mkdir()
    _write_keys(folder / "pki")
    _write_credentials(folder)
    _write_network(folder)
    (folder / "containerd.toml").write_text(_containerd(folder))
    (folder / "kubelet.yaml").write_text(json.dumps(_kubelet(folder)))
    (folder / "resolv.conf").write_text(f"nameserver {ADDRESS}\n")
    (folder / "Corefile").write_text(
        f".:53 {{\n bind {ADDRESS}\n errors\n kubernetes cluster.local in-addr.arpa {{\n"
        f"  kubeconfig {folder}/admin.kubeconfig cluster\n  pods insecure\n }}\n cache 5\n}}\n"
    )


def _write_keys(folder: Path) -> None:
    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl("genrsa", "-out", "service-accounts.key", "2048")
    openssl("rsa", "-in", "service-accounts.key", "-pubout", "-out", "service-accounts.pub")


def _write_credentials(folder: Path) -> None:
    rows = [f'{name}-token,{user},{name},"{groups}"' for name, (user, groups) in _USERS.items()]
    (folder / "pki" / "tokens.csv").write_text("\n".join(rows) + "\n")
    for name in _USERS:
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": {"server": API, "insecure-skip-tls-verify": True}}],
            "users": [{"name": "user", "user": {"token": f"{name}-token"}}],
            "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "user"}}],
            "current-context": "cluster",
        }
        file = folder / f"{name}.kubeconfig"
        file.write_text(json.dumps(kubeconfig))
        file.chmod(0o600)


def _write_network(folder: Path) -> None:
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": "10.244.0.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(folder / "addresses"),
        },
    }
    plugins = [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]
    network = {"cniVersion": "0.4.0", "name": "pods", "plugins": plugins}
    (folder / "cni" / "10-pods.conflist").write_text(json.dumps(network))


def _containerd(folder: Path) -> str:
    # Root has no CAP_SYS_RESOURCE in a container, so that the scores of the OOM killer cannot be lowered.
    return f"""version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
[grpc]
address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{folder}/cni"
"""


def _kubelet(folder: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "clusterDomain": "cluster.local",
        "clusterDNS": [ADDRESS],
        "resolvConf": str(folder / "resolv.conf"),
        "oomScoreAdj": 0,
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "100Mi"},
        # One machine has many pods of few tests: pull nothing, and restart quickly.
        "crashLoopBackOff": {"maxContainerRestartPeriod": "5s"},
    }
