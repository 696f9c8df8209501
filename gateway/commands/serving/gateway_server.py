"""uvicorn's server with an end in steps: not ready, then no new connections, then no requests in progress.

Nobody is cut off who could not know better. While the gateway drains, a load balancer sees that `/readyz` is 503, and
each response closes its connection. After that the sockets are closed, and whoever has just connected or has just been
answered may still send a request for a moment.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Generator
from typing import Protocol, cast

import uvicorn

from gateway.commands.serving.http_protocol import BoundedHttpProtocol, DrainingHttpProtocol
from gateway.commands.serving.supervisor import Command
from gateway.settings.serving.shutdown import Shutdown

_log = logging.getLogger(__name__)
# Seconds between two looks at the connections that are left.
_TICK = 0.02
# Seconds for the responses of requests that are cut off.
_LAST_WORDS = 1.0


class SecondServer(uvicorn.Server):
    """A second server in the same loop. It leaves signals to the public server and stops with it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture no signals."""
        yield


class ServedProcess(Protocol):
    """What signals and the supervisor's commands are for."""

    def drain(self) -> None:
        """Begin to stop: called once."""

    def request_reload(self, trigger: str) -> None:
        """Bring the configuration into force as its files are now."""

    def request_roll_back(self, trigger: str) -> None:
        """Bring the configuration before into force."""


class GatewayServer(uvicorn.Server):
    """The public server of one process."""

    def __init__(
        self, config: uvicorn.Config, times: Shutdown, process: ServedProcess, commands: int | None = None
    ) -> None:
        """`process` is told what the signals say. `commands` is the pipe of the supervisor, if there is one."""
        super().__init__(config)
        self._times = times
        self._process = process
        self._commands = commands
        self._is_draining = False
        self._main_task: asyncio.Task[object] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until the server is stopped. Raises `CancelledError` if it ends at once."""
        try:
            await super().serve(sockets)
        except asyncio.CancelledError:
            await self._cut_off()
            raise

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop by signals: the first begins to drain, a second ends at once.

        A worker is told both by the supervisor: a terminal or systemd may send it the signals of all processes twice.
        """
        self._main_task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        if self._commands is None:
            loop.add_signal_handler(signal.SIGTERM, self._stop)
            loop.add_signal_handler(signal.SIGINT, self._stop)
            loop.add_signal_handler(signal.SIGHUP, self._process.request_reload, "signal")
            loop.add_signal_handler(signal.SIGUSR1, self._process.request_roll_back, "signal")
        else:
            loop.add_signal_handler(signal.SIGTERM, self.drain)
            loop.add_reader(self._commands, self._follow_command, self._commands)
        yield

    def _follow_command(self, commands: int) -> None:
        command = os.read(commands, 1)
        match command:
            case Command.RELOAD.value:
                self._process.request_reload("signal")
            case Command.RELOAD_FILE.value:
                self._process.request_reload("file")
            case Command.ROLL_BACK.value:
                self._process.request_roll_back("supervisor")
            case Command.END.value:
                self.end()
            case _:
                self.drain()
        if not command:
            # The supervisor has ended, and the end of a pipe can be read for ever.
            asyncio.get_running_loop().remove_reader(commands)

    def _stop(self) -> None:
        """Begin to stop; at the second call end at once."""
        if self._is_draining:
            self.end()
        else:
            self.drain()

    def drain(self) -> None:
        """Begin to stop: from now on this gateway is not ready, and asks for no further request on a connection."""
        if self._is_draining:
            return
        _log.info("stopping: not ready any more", extra={"drain_seconds": self._times.drain_seconds})
        self._is_draining = True
        self._process.drain()
        self.config.http_protocol_class = DrainingHttpProtocol
        for connection in self._connections():
            connection.expect_no_more()
        asyncio.get_running_loop().call_later(self._times.drain_seconds, self._leave_main_loop)

    def end(self) -> None:
        """End at once, whatever is in progress."""
        _log.warning("stopping at once", extra={"requests": len(self.server_state.tasks)})
        assert self._main_task is not None
        self._main_task.cancel()

    def _leave_main_loop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no connection any more, and wait for what is in progress, in place of uvicorn's `shutdown`."""
        loop = asyncio.get_running_loop()
        for server in self.servers:
            server.close()
        for opened in sockets or []:
            opened.close()
        until = loop.time() + self._times.finish_seconds
        while (self.server_state.connections or self.server_state.tasks) and loop.time() < until:
            for connection in self._connections():
                connection.close_if_idle()
            await asyncio.sleep(_TICK)
        if self.server_state.tasks:
            _log.error("requests took too long", extra={"requests": len(self.server_state.tasks)})
        await self._cut_off()
        await self.lifespan.shutdown()

    async def _cut_off(self) -> None:
        """End what is in progress. Its requests are still counted and logged, and answered if that is possible."""
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_WORDS)
        for connection in self._connections():
            connection.transport.abort()

    def _connections(self) -> list[BoundedHttpProtocol]:
        return cast("list[BoundedHttpProtocol]", list(self.server_state.connections))
