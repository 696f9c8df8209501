"""Changes the configuration of one process while it serves: checked first, swapped at once, with a way back."""

import asyncio
import contextlib
import gc
import logging
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from starlette.applications import Starlette

from gateway.app import Gateway
from gateway.commands.serving.configurations import Configurations
from gateway.commands.serving.process_parts import ProcessParts
from gateway.commands.serving.reloadable_gateway import ReloadableGateway, ServedGateway
from gateway.settings.loading.configuration import Configuration
from gateway.settings.loading.problem import dotted_path
from gateway.settings.model import Settings
from gateway.settings.warnings import find_warnings
from gateway.smart_server.configuration_control import (
    BY_ADMINISTRATOR,
    ConfigurationChange,
    ConfigurationState,
    ReloadRefusedError,
)
from gateway.storage.backends.store import StoreUnavailableError
from gateway.storage.store_keys import CONFIGURATION_RELOAD, CONFIGURATION_ROLL_BACK
from gateway.telemetry.configuration_metrics import ReloadOutcome
from gateway.telemetry.configured_telemetry import ConfiguredTelemetry
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.request_recording.request_recorder import Recordings
from gateway.telemetry.server_event import EventKind, ServerEvent
from gateway.telemetry.watched_parts import AuditState, CurrentParts

_log = logging.getLogger(__name__)
# Until a reload is tried again that the store did not let happen.
_RETRY_SECONDS = 2.0
# How many changes are remembered for administrators.
_HISTORY = 20
_NOTHING_BEFORE = "there is no earlier configuration to go back to"


class Reloader:
    """The `ConfigurationControl` of this process, and the application that it serves."""

    def __init__(self, configurations: Configurations, parts: ProcessParts) -> None:
        self._configurations = configurations
        self._parts = parts
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._recordings = Recordings()
        self._is_draining = False
        self._is_trying_again = False
        since = parts.configuration_metrics.since
        first = ConfigurationChange(configurations.current.version, since, "start")
        self._history = deque((first,), _HISTORY)
        self.application = ReloadableGateway(self._build(configurations.current), self._lifespan)

    @property
    def state(self) -> ConfigurationState:
        """See `ConfigurationControl`."""
        configurations, metrics = self._configurations, self._parts.configuration_metrics
        previous = configurations.previous
        return ConfigurationState(
            configurations.current.version,
            metrics.since,
            None if previous is None else previous.version,
            configurations.problems,
            tuple(self._history),
        )

    def watch(self, metrics: Metrics, audit_log: AuditState) -> None:
        """Let these metrics report the configuration, and the parts of the gateway in force."""
        metrics.watch(self._parts.configuration_metrics)
        metrics.watch(CurrentParts(lambda: self.application.current.watched_parts(audit_log)))

    def drain(self) -> None:
        """The process is about to stop: it is not ready any more, and nothing is reloaded."""
        self._is_draining = True
        self.application.current.drain()

    def _is_about_to_stop(self) -> bool:
        return self._is_draining

    def request_reload(self, trigger: str) -> None:
        """Reload soon. What becomes of it stands in the log."""
        self._run(self._reload_and_log(trigger))

    def request_roll_back(self, trigger: str) -> None:
        """Roll back soon. What becomes of it stands in the log."""
        self._run(self._roll_back_and_log(trigger))

    def hear(self, message: str) -> bool:
        """See `ConfigurationControl`. Where there is a supervisor, it is told, and tells all workers."""
        if message == CONFIGURATION_RELOAD:
            if not self._parts.tell_supervisor(signal.SIGHUP):
                self.request_reload("store")
            return True
        if not message.startswith(CONFIGURATION_ROLL_BACK):
            return False
        # Whoever went back already, or never had that version, has nothing to do.
        is_in_force = message.removeprefix(CONFIGURATION_ROLL_BACK) == self._configurations.current.version
        if is_in_force and not self._parts.tell_supervisor(signal.SIGUSR1):
            self.request_roll_back("store")
        return True

    async def reload(self, trigger: str) -> ReloadOutcome:
        """See `ConfigurationControl`."""
        async with self._lock:
            told = self._configurations.problems
            try:
                outcome = await self._apply_next(trigger)
            except ReloadRefusedError as error:
                # The files are looked at again and again while they are not in force: the same is told once.
                if trigger != "file" or error.problems != told:
                    self._refuse(error, trigger)
                raise
            self._record(outcome)
            if trigger == BY_ADMINISTRATOR:
                self._parts.tell_supervisor(signal.SIGHUP)
            return outcome

    async def roll_back(self, trigger: str) -> ReloadOutcome:
        """See `ConfigurationControl`."""
        async with self._lock:
            previous = self._configurations.previous
            if previous is None:
                error = ReloadRefusedError(ReloadOutcome.NOTHING_BEFORE, _NOTHING_BEFORE)
                # The supervisor tells all workers, and one of them has told the supervisor.
                if trigger != "supervisor":
                    self._refuse(error, trigger)
                raise error
            rolled_back = self._configurations.current.version
            try:
                await self._take_over(previous, trigger)
            except ReloadRefusedError as error:
                self._refuse(error, trigger)
                raise
            self._record(ReloadOutcome.ROLLED_BACK)
            _log.warning("the configuration before is in force again", extra={"rolled_back": rolled_back})
            if trigger == BY_ADMINISTRATOR:
                self._parts.tell_supervisor(signal.SIGUSR1)
            return ReloadOutcome.ROLLED_BACK

    async def _apply_next(self, trigger: str) -> ReloadOutcome:
        following = await asyncio.to_thread(self._configurations.read_next)
        if following is None:
            return ReloadOutcome.UNCHANGED
        await self._take_over(following, trigger)
        return ReloadOutcome.APPLIED

    async def _take_over(self, following: Configuration, trigger: str) -> None:
        """Build the gateway of a configuration, prepare it, and let it take the place of the one in force."""
        if self._is_about_to_stop():
            raise ReloadRefusedError(ReloadOutcome.UNAVAILABLE, "the gateway is about to stop")
        try:
            gateway = self._build(following)
        except Exception as error:
            _log.exception("a valid configuration cannot be used")
            raise self._configurations.fail("it cannot be used; the log says where the gateway failed") from error
        try:
            await gateway.prepare()
        except StoreUnavailableError as error:
            await gateway.aclose()
            raise self._configurations.fail("the store does not answer") from error
        replaced = self.application.replace(gateway)
        if self._is_about_to_stop():
            gateway.drain()
        earlier = self._configurations.current.settings
        self._adopt(following)
        self._parts.follow_configuration(following)
        self._history.appendleft(ConfigurationChange(following.version, time.time(), trigger))
        event = ServerEvent(kind=EventKind.CONFIGURATION_CHANGED, at=time.time(), reason=trigger)
        self._telemetry(following).add_event(event)
        await gateway.start(replaced.gateway)
        # Said when it holds in full: what it no longer permits has ended by now.
        _log.info("another configuration is in force", extra={"trigger": trigger})
        _log_new_warnings(earlier, following.settings)
        self._run(self._retire(replaced))

    async def _retire(self, replaced: ServedGateway) -> None:
        await replaced.retire()
        del replaced
        self._recordings.settle(self._configurations.current.settings)
        gc.collect()

    def _adopt(self, following: Configuration) -> None:
        if following is self._configurations.previous:
            self._configurations.go_back()
        else:
            self._configurations.use(following)

    def _build(self, configuration: Configuration) -> Gateway:
        telemetry = self._telemetry(configuration)
        return Gateway(configuration.settings, telemetry, self._parts.lasting, self)

    def _telemetry(self, configuration: Configuration) -> ConfiguredTelemetry:
        recorder = self._recordings.take(configuration.settings)
        return ConfiguredTelemetry(self._parts.telemetry, configuration.version, recorder)

    def _record(self, outcome: ReloadOutcome) -> None:
        metrics = self._parts.configuration_metrics
        metrics.record(outcome, self._configurations.current.version)
        metrics.is_refused = bool(self._configurations.problems)

    def _refuse(self, error: ReloadRefusedError, trigger: str) -> None:
        self._record(error.outcome)
        _log.error(
            "the configuration is not changed",
            extra={"trigger": trigger, "outcome": error.outcome.value, "problems": list(error.problems)},
        )

    async def _reload_and_log(self, trigger: str) -> None:
        try:
            outcome = await self.reload(trigger)
        except ReloadRefusedError as error:
            if error.outcome is ReloadOutcome.UNAVAILABLE and not (self._is_trying_again or self._is_about_to_stop()):
                self._is_trying_again = True
                self._run(self._try_again())
            return
        if outcome is ReloadOutcome.UNCHANGED and trigger != "file":
            _log.info("the configuration has not changed", extra={"trigger": trigger})

    async def _try_again(self) -> None:
        """Reload once more. The files have not changed meanwhile, so that nobody else would."""
        await asyncio.sleep(_RETRY_SECONDS)
        self._is_trying_again = False
        await self._reload_and_log("file")

    async def _roll_back_and_log(self, trigger: str) -> None:
        with contextlib.suppress(ReloadRefusedError):
            await self.roll_back(trigger)

    def _run(self, action: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(action)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            if self._configurations.has_changed():
                await self._reload_and_log("file")

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        seconds = self._configurations.current.settings.reload.watch_seconds
        await self.application.current.start()
        if seconds is not None and not self._parts.has_supervisor:
            self._run(self._watch(seconds))
        try:
            yield
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.application.current.aclose()
            self._recordings.write_out()
            await self._parts.lasting.aclose()


def _log_new_warnings(earlier: Settings, following: Settings) -> None:
    """Log what is to be looked at again of the new configuration, and was not of the one before."""
    known = set(find_warnings(earlier))
    for warning in find_warnings(following):
        if warning not in known:
            _log.warning(
                "a setting to look at again", extra={"setting": dotted_path(warning.path), "text": warning.sentence}
            )
