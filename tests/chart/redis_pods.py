"""The Redis pods of the chart without a cluster: its scripts, servers and Sentinels, each pod in its own network."""

import contextlib
import itertools
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from scripts.chart_files import CHART
from scripts.install_once import NotAvailable

REPLICAS = 3
_SCRIPTS = CHART / "files" / "redis"
_BRIDGE = "chart-redis"
_PROGRAMS = ("redis-server", "redis-cli", "ip", "unshare")
_PASSWORD = 'a \\ and "quotes" and #'
_ENVIRONMENT = {
    **os.environ, "NAME": "redis", "DOMAIN": "test", "REPLICAS": str(REPLICAS), "REDISCLI_AUTH": _PASSWORD,
}  # fmt: skip
# In place of the cluster's names.
_ENTER = 'mount --bind "$HOSTS" /etc/hosts && exec sh "$SCRIPT"'


def _address(number: int) -> str:
    return f"10.199.7.{10 + number}"


def _run(*words: str, check: bool = True) -> str:
    return subprocess.run(words, env=_ENVIRONMENT, capture_output=True, text=True, check=check).stdout.strip()


class Container:
    """One container of a pod. It is started again when it ends, after `delay` seconds, as the kubelet does."""

    def __init__(self, pod: int, script: Path, hosts: Path) -> None:
        self.delay = 0.0
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        environment = {**_ENVIRONMENT, "POD_NAME": f"redis-{pod}", "SCRIPT": str(script), "HOSTS": str(hosts)}
        self._log = script.with_suffix(".log").open("ab")
        self._command = ["ip", "netns", "exec", f"{_BRIDGE}-{pod}", "unshare", "--mount", "sh", "-c", _ENTER]
        self._environment = environment
        self._thread = threading.Thread(target=self._keep_running)
        self._thread.start()

    def _keep_running(self) -> None:
        while not self._ended.is_set():
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=self._log, stderr=self._log)
            self._process.wait()
            self._ended.wait(self.delay)

    def kill(self) -> None:
        """SIGKILL, as the kernel does where memory ends."""
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        """Kill it for good."""
        self._ended.set()
        while self._thread.is_alive():
            self.kill()
            self._thread.join(0.1)
        self._log.close()


class RedisPods:
    """Three pods, each with a server and a Sentinel."""

    def __init__(self, folder: Path) -> None:
        hosts = folder / "hosts"
        hosts.write_text("".join(f"{_address(pod)} redis-{pod}.test\n" for pod in range(REPLICAS)))
        for pod in range(REPLICAS):
            self._write_scripts(folder / str(pod))
        self._folder = folder
        self.servers = [Container(pod, folder / str(pod) / "start-redis.sh", hosts) for pod in range(REPLICAS)]
        self.sentinels = [Container(pod, folder / str(pod) / "start-sentinel.sh", hosts) for pod in range(REPLICAS)]

    def _write_scripts(self, data: Path) -> None:
        """The scripts of a pod, which keep their data beside them."""
        data.mkdir()
        for script in _SCRIPTS.iterdir():
            (data / script.name).write_text(re.sub(r"/(?:scripts|data)(?:/|(?=\"))", f"{data}/", script.read_text()))

    def ask(self, pod: int, *words: str, sentinel: bool = False) -> list[str]:
        """The lines of an answer of a server or a Sentinel; none if it does not answer."""
        port = "26379" if sentinel else "6379"
        return _run("timeout", "2", "redis-cli", "-h", _address(pod), "-p", port, *words, check=False).splitlines()

    def probe(self) -> None:
        """Run the readiness probe of each server, as the kubelet does."""
        for pod in range(REPLICAS):
            script = str(self._folder / str(pod) / "probe-redis.sh")
            _run("ip", "netns", "exec", f"{_BRIDGE}-{pod}", "sh", script, check=False)

    def are_settled(self) -> bool:
        """Whether each Sentinel sees a primary that is well, and replicas that it could promote."""
        for pod in range(REPLICAS):
            primary = self.ask(pod, "sentinel", "master", "gateway", sentinel=True)
            replicas = self.ask(pod, "sentinel", "replicas", "gateway", sentinel=True)
            priorities = [value for name, value in itertools.pairwise(replicas) if name == "slave-priority"]
            if ("flags", "master") not in itertools.pairwise(primary) or priorities != ["100", "100"]:
                return False
        return True

    def primaries(self) -> list[int]:
        """The pods that take writes."""
        return [pod for pod in range(REPLICAS) if self.ask(pod, "role")[:1] == ["master"]]

    def primary(self) -> int | None:
        """The pod that all Sentinels name, if it alone takes writes and a replica confirms one."""
        primaries = self.primaries()
        if len(primaries) != 1:
            return None
        (primary,) = primaries
        named = [
            self.ask(pod, "sentinel", "get-master-addr-by-name", "gateway", sentinel=True)[:1]
            for pod in range(REPLICAS)
        ]
        return primary if named == [[f"redis-{primary}.test"]] * REPLICAS and self.write(primary, "x", "1") else None

    def write(self, primary: int, key: str, value: str) -> bool:
        """Whether a write to the primary was confirmed by a replica, as the gateway demands."""
        done = subprocess.run(
            ["timeout", "3", "redis-cli", "-h", _address(primary)],
            input=f"set {key} {value}\nwait 1 1000\n", env=_ENVIRONMENT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        answer = done.stdout.split()
        return answer[:1] == ["OK"] and int(answer[1]) >= 1

    def end(self) -> None:
        """Kill everything for good."""
        for container in (*self.servers, *self.sentinels):
            container.end()


@contextlib.contextmanager
def run_redis_pods(folder: Path) -> Iterator[RedisPods]:
    """The pods, in namespaces of this machine. Raises `NotAvailable`."""
    if os.geteuid() != 0 or not all(map(shutil.which, _PROGRAMS)):
        raise NotAvailable(f"root and {', '.join(_PROGRAMS)} are needed.")
    with contextlib.ExitStack() as stack:
        _run("ip", "link", "add", _BRIDGE, "type", "bridge")
        stack.callback(_run, "ip", "link", "delete", _BRIDGE)
        _run("ip", "address", "add", "10.199.7.1/24", "dev", _BRIDGE)
        _run("ip", "link", "set", _BRIDGE, "up")
        for pod in range(REPLICAS):
            namespace, link = f"{_BRIDGE}-{pod}", f"redis-{pod}"
            _run("ip", "netns", "add", namespace)
            stack.callback(_run, "ip", "netns", "delete", namespace)
            _run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _run("ip", "link", "set", link, "master", _BRIDGE, "up")
            _run("ip", "-netns", namespace, "address", "add", f"{_address(pod)}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _run("ip", "-netns", namespace, "link", "set", device, "up")
        pods = RedisPods(folder)
        stack.callback(pods.end)
        yield pods
