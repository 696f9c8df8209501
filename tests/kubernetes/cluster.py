"""A one-node Kubernetes with a real kubelet, in a network namespace of its own; nothing of it is left at the end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from scripts.image import CACHE
from tests.kubernetes.node_files import ADDRESS, NODE, PODS, SERVICES, write_node_files
from tests.kubernetes.programs import built, require_cluster
from tests.servers.process import StartError

_NAMESPACE = "smart-gateway-test"
# The kubelet sets these for the whole machine.
_SYSCTLS = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory")
_POLL_SECONDS = 0.2


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 120.0) -> float:
    """Wait until it holds; the seconds that it took. Raises `StartError`, which names `what`."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > seconds:
            raise StartError(f"{what}: not within {seconds:g} s.")
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - started


@dataclass
class Cluster:
    """A running cluster. Its commands run inside of its network namespace."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def command(self, *words: str) -> list[str]:
        """A command line that runs in the network of the node."""
        return ["nsenter", f"--net=/run/netns/{_NAMESPACE}", "--", *words]

    def run(self, *words: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the network of the node, with the rights of an administrator."""
        environment = {**os.environ, "KUBECONFIG": str(self.folder / "admin.kubeconfig"), "HOME": str(self.folder)}
        done = subprocess.run(
            self.command(*words), input=text, capture_output=True, text=True, env=environment, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words[:6])} ...: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def kubectl(self, *words: str, text: str | None = None, check: bool = True) -> str:
        """The output of kubectl."""
        return self.run(built("kubectl"), *words, text=text, check=check).stdout

    def get(self, *words: str) -> Any:
        """Objects as JSON."""
        return json.loads(self.kubectl("get", *words, "--output", "json"))

    def start_program(self, name: str, *words: str) -> None:
        """Start a program in the network of the node."""
        log: IO[bytes] = (self.folder / "logs" / name).open("wb")
        with log:
            self.processes[name] = subprocess.Popen(
                self.command(*words), stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )

    def kill_programs(self, *names: str) -> None:
        """End programs at once: nothing of what they know is needed any more."""
        found = [self.processes.pop(name) for name in names if name in self.processes]
        for process in found:
            process.kill()
        for process in found:
            process.wait()

    def ctr(self, *words: str) -> str:
        """The output of containerd's own client; empty if it fails."""
        command = ["ctr", "--address", f"{self.folder}/containerd.sock", "--namespace", "k8s.io", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@contextlib.contextmanager
def run_cluster(images: Sequence[Path]) -> Iterator[Cluster]:
    """A cluster with these images. Raises `NotAvailable`, `StartError`."""
    require_cluster()
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = CACHE / "cluster.folder"
        if note.exists():
            # Of a run that was killed.
            _stop(Cluster(Path(note.read_text())))
        sysctls = {name: Path("/proc/sys", name).read_text() for name in _SYSCTLS}
        cluster = Cluster(Path(tempfile.mkdtemp(prefix="cluster-")))
        note.write_text(str(cluster.folder))
        try:
            _start(cluster, images)
            yield cluster
        finally:
            _stop(cluster)
            note.unlink()
            for name, value in sysctls.items():
                Path("/proc/sys", name).write_text(value)


def _start(cluster: Cluster, images: Sequence[Path]) -> None:
    folder = cluster.folder
    write_node_files(folder)
    _make_network(cluster)
    _start_control_plane(cluster)
    cluster.start_program("containerd", "containerd", "--config", "containerd.toml")
    wait_until(lambda: "Version" in cluster.ctr("version"), "containerd answers")
    for image in images:
        cluster.ctr("images", "import", str(image))
    wait_until(lambda: cluster.kubectl("get", "--raw", "/readyz", check=False) == "ok", "the API server is ready")
    for name, program in (("controller-manager", "kube-controller-manager"), ("scheduler", "kube-scheduler")):
        cluster.start_program(name, built(program), *_CONTROLLERS[name])
    cluster.start_program("dns", built("coredns"), "-conf", "Corefile")
    cluster.start_program(
        "kubelet", built("kubelet"), "--config=kubelet.yaml", "--kubeconfig=node.kubeconfig",
        f"--hostname-override={NODE}", f"--node-ip={ADDRESS}", f"--root-dir={folder}/kubelet",
        f"--cert-dir={folder}/kubelet/pki",
    )  # fmt: skip
    cluster.start_program(
        "proxy", built("kube-proxy"), "--kubeconfig=proxy.kubeconfig", f"--hostname-override={NODE}",
        f"--cluster-cidr={PODS}", "--proxy-mode=iptables", "--conntrack-max-per-core=0",
        "--metrics-bind-address=127.0.0.1:10249",
    )  # fmt: skip
    cluster.kubectl("wait", "--for=create", f"node/{NODE}", "--timeout=120s")
    cluster.kubectl("wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=120s")
    # Without it, NetworkPolicies are accepted and do nothing.
    cluster.start_program(
        "policies", built("kube-router"), "--run-firewall=true", "--run-router=false", "--run-service-proxy=false",
        "--run-loadbalancer=false", "--kubeconfig=admin.kubeconfig", f"--hostname-override={NODE}",
        "--health-port=20244", "--metrics-port=0", f"--service-cluster-ip-range={SERVICES}",
    )  # fmt: skip


def _make_network(cluster: Cluster) -> None:
    # Not by `ip netns exec`, which would hide /sys/fs/cgroup.
    subprocess.run(["ip", "netns", "add", _NAMESPACE], check=True)
    cluster.run(
        "sh", "-ec",
        f"ip link set lo up; ip link add node0 type bridge; ip addr add {ADDRESS}/24 dev node0; ip link set node0 up; "
        f"ip route add default via {ADDRESS}; echo 1 >/proc/sys/net/ipv4/ip_forward",
    )  # fmt: skip


def _start_control_plane(cluster: Cluster) -> None:
    etcd = "http://127.0.0.1:2379"
    cluster.start_program(
        "etcd", "etcd", "--data-dir=etcd", "--unsafe-no-fsync", f"--listen-client-urls={etcd}",
        f"--advertise-client-urls={etcd}",
    )  # fmt: skip
    cluster.start_program(
        "api", built("kube-apiserver"), f"--etcd-servers={etcd}", "--bind-address=0.0.0.0",
        f"--advertise-address={ADDRESS}", "--secure-port=6443", "--cert-dir=pki/api",
        f"--service-cluster-ip-range={SERVICES}", "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=pki/service-accounts.pub",
        "--service-account-signing-key-file=pki/service-accounts.key", "--token-auth-file=pki/tokens.csv",
        "--authorization-mode=Node,RBAC", "--allow-privileged=true", "--kubelet-preferred-address-types=InternalIP",
    )  # fmt: skip


_CONTROLLERS = {
    "controller-manager": (
        "--kubeconfig=controller-manager.kubeconfig", "--service-account-private-key-file=pki/service-accounts.key",
        "--root-ca-file=pki/api/apiserver.crt", "--use-service-account-credentials=true", "--leader-elect=false",
        "--bind-address=127.0.0.1",
    ),
    "scheduler": ("--kubeconfig=scheduler.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1"),
}  # fmt: skip


def _stop(cluster: Cluster) -> None:
    cluster.kill_programs("policies", "dns", "proxy", "kubelet", "scheduler", "controller-manager", "api", "etcd")
    # A task of a pod's own container ends with it.
    containers = cluster.ctr("containers", "ls", "-q").split()
    cluster.ctr("tasks", "rm", "--force", *containers)
    cluster.ctr("containers", "rm", *containers)
    cluster.kill_programs("containerd")
    _kill_what_is_left(cluster.folder)
    _remove_networks_of_pods()
    _remove_control_groups()
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{cluster.folder}/")), reverse=True):
        subprocess.run(["umount", mount], check=False)
    _remove_namespace()
    shutil.rmtree(cluster.folder, ignore_errors=True)


def _kill_what_is_left(folder: Path) -> None:
    """End the processes that run in the folder or name it: what holds containers outlives containerd."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{folder}/" in (process / "cmdline").read_text() or (process / "cwd").readlink() == folder:
                os.kill(int(process.name), signal.SIGKILL)


def _remove_control_groups() -> None:
    for group in Path("/sys/fs/cgroup").glob("*/kubepods"):
        for inner in [*sorted(group.rglob("*"), reverse=True), group]:
            # Its files are no files, and a group of a process that has not ended yet stays.
            with contextlib.suppress(OSError):
                inner.rmdir()


def _namespaces() -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    return [line.split()[0] for line in listed.splitlines() if line]


def _remove_networks_of_pods() -> None:
    for name in _namespaces():
        if name.startswith("cni-"):
            inside = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout
            if not inside.strip():
                subprocess.run(["ip", "netns", "del", name], check=False)


def _remove_namespace() -> None:
    if _NAMESPACE in _namespaces():
        subprocess.run(["ip", "netns", "del", _NAMESPACE], check=False)
