"""Several worker processes of one gateway: started from one process, replaced when they die, stopped together.

The supervisor has loaded everything before it forks, so that workers share that memory. It opens the sockets, and each
worker accepts from them. It runs no event loop and no thread, so that it can fork at any time.
"""

import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from gateway.settings.serving.shutdown import Shutdown

_log = logging.getLogger(__name__)
_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD})
# Seconds until a worker that has died is replaced: doubled while workers die young, and then the least again.
_MIN_DELAY, _MAX_DELAY, _OLD_AGE = 0.1, 10.0, 60.0
# Seconds that a worker may take to end beyond the times of the settings.
_MARGIN = 5.0


class Command(Enum):
    """What the supervisor tells a worker, as one byte in a pipe. The end of the pipe is the end of the supervisor."""

    DRAIN = b"d"
    END = b"e"
    RELOAD = b"r"
    RELOAD_FILE = b"f"
    ROLL_BACK = b"b"


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """What a new worker is told: its place, how many had it before, and the pipe where commands arrive.

    `supervisor` is the process that tells it.
    """

    place: int
    predecessors: int
    commands: int
    supervisor: int


class FollowedConfiguration(Protocol):
    """The configuration as the supervisor follows it: a worker that it starts later has the one that is in force."""

    def seconds_until_look(self) -> float:
        """Seconds until `has_changed` is to be asked; infinite for never."""

    def has_changed(self) -> bool:
        """Whether the files have changed. Then they have been read here, and workers are to read them."""

    def reload(self) -> None:
        """Read the files."""

    def roll_back(self) -> bool:
        """Go back to the configuration before; False if there is none."""


@dataclass(slots=True)
class _Place:
    """A place for a worker. `pid` is 0 and `due` set while nobody has it. `deaths` are early ones in a row."""

    number: int
    pid: int = 0
    commands: int = -1
    started_at: float = 0.0
    due: float = 0.0
    deaths: int = 0
    predecessors: int = 0


class Supervisor:
    """Keeps a number of workers running until SIGTERM or SIGINT. Needs Linux."""

    def __init__(
        self,
        count: int,
        run_worker: Callable[[WorkerStart], None],
        sockets: Iterable[socket.socket],
        times: Shutdown,
        configuration: FollowedConfiguration,
    ) -> None:
        """`run_worker` runs in each new process, until that is to end. `sockets` are what the workers listen on."""
        self._configuration = configuration
        self._places = [_Place(number) for number in range(count)]
        self._run_worker = run_worker
        self._sockets = list(sockets)
        self._patience = times.drain_seconds + times.finish_seconds + _MARGIN
        self._kill_at: float | None = None
        self._has_killed = False

    def run(self) -> int:
        """Returns the exit status when all workers have ended: 1 if one of them had to be killed."""
        # Whoever started this process may have it ignored, and then the system buries the workers unnoticed.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        while self._kill_at is None or any(place.pid for place in self._places):
            self._start_due()
            arrived = signal.sigtimedwait(_SIGNALS, self._seconds_until_next())
            if arrived is not None and arrived.si_signo in {signal.SIGTERM, signal.SIGINT}:
                self._stop()
            elif self._kill_at is None:
                self._follow_configuration(None if arrived is None else arrived.si_signo)
            self._bury()
            if self._kill_at is not None and time.monotonic() > self._kill_at:
                self._kill()
        return 1 if self._has_killed else 0

    def _seconds_until_next(self) -> float:
        moments = [place.due for place in self._places if not place.pid and self._kill_at is None]
        if self._kill_at is not None:
            moments.append(self._kill_at)
        else:
            moments.append(time.monotonic() + self._configuration.seconds_until_look())
        return max(0.0, min(*moments, time.monotonic() + 60) - time.monotonic()) + 0.001

    def _follow_configuration(self, arrived: int | None) -> None:
        """Read another configuration, if a signal or the files say so, and let the workers do the same."""
        if arrived == signal.SIGHUP:
            self._configuration.reload()
            self._tell_workers(Command.RELOAD)
        elif arrived == signal.SIGUSR1:
            if self._configuration.roll_back():
                self._tell_workers(Command.ROLL_BACK)
        elif self._configuration.seconds_until_look() <= 0 and self._configuration.has_changed():
            self._tell_workers(Command.RELOAD_FILE)

    def _tell_workers(self, command: Command) -> None:
        for place in self._places:
            if place.pid:
                # A worker that has just died reads nothing any more.
                with contextlib.suppress(BrokenPipeError):
                    os.write(place.commands, command.value)

    def _start_due(self) -> None:
        for place in self._places:
            if self._kill_at is None and not place.pid and place.due <= time.monotonic():
                self._start(place)

    def _start(self, place: _Place) -> None:
        commands, place.commands = os.pipe()
        supervisor = os.getpid()
        place.pid = os.fork()
        if place.pid == 0:
            self._be_worker(WorkerStart(place.number, place.predecessors, commands, supervisor))
        os.close(commands)
        place.started_at = time.monotonic()
        place.predecessors += 1

    def _be_worker(self, start: WorkerStart) -> None:
        """Run a worker in this new process; does not return."""
        status = 1
        try:
            # A worker that held a pipe of another one would keep it from seeing that the supervisor has ended.
            for place in self._places:
                if place.commands >= 0:
                    os.close(place.commands)
            # A terminal sends these to all processes at once. The supervisor tells the workers what follows.
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
                signal.signal(number, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self._run_worker(start)
            status = 0
        except BaseException:
            _log.exception("a worker failed", extra={"worker": start.place})
        finally:
            os._exit(status)

    def _bury(self) -> None:
        """Notice all processes that have ended. As process 1 of a container there may be others than workers."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for place in self._places:
                if place.pid == pid:
                    self._vacate(place, os.waitstatus_to_exitcode(status))

    def _vacate(self, place: _Place, status: int) -> None:
        os.close(place.commands)
        now = time.monotonic()
        pid, place.pid, place.commands = place.pid, 0, -1
        age = now - place.started_at
        if self._kill_at is not None:
            return
        place.deaths = place.deaths + 1 if age < _OLD_AGE else 1
        delay = min(_MIN_DELAY * 2 ** (place.deaths - 1), _MAX_DELAY)
        place.due = now + delay
        told = {"worker": place.number, "pid": pid, "status": status, "age_seconds": age, "delay_seconds": delay}
        _log.error("a worker has ended and is replaced", extra=told)

    def _stop(self) -> None:
        """Let the workers drain; at the second signal, let them end at once."""
        first = self._kill_at is None
        if first:
            self._kill_at = time.monotonic() + self._patience
            # Otherwise connections would be accepted for this process, which serves none.
            for opened in self._sockets:
                opened.close()
        else:
            self._kill_at = time.monotonic() + _MARGIN
        self._tell_workers(Command.DRAIN if first else Command.END)

    def _kill(self) -> None:
        for place in self._places:
            if place.pid:
                _log.error("a worker did not end and is killed", extra={"worker": place.number, "pid": place.pid})
                os.kill(place.pid, signal.SIGKILL)
                self._has_killed = True
        self._kill_at = time.monotonic() + _MARGIN
