"""The configuration as the supervisor follows it: it serves nothing, and starts workers with what is in force."""

import contextlib
import math
import time

from gateway.commands.serving.configurations import Configurations
from gateway.smart_server.configuration_control import ReloadRefusedError
from gateway.telemetry.operational_log import configure_logs

# Seconds between two looks at files that were refused.
_RETRY_SECONDS = 5.0


class SupervisedConfiguration:
    """Reads what the workers read. They say what is wrong with it, and this says nothing about it."""

    def __init__(self, configurations: Configurations) -> None:
        self._configurations = configurations
        seconds = configurations.current.settings.reload.watch_seconds
        self._interval = math.inf if seconds is None else seconds
        self._next_look = time.monotonic() + self._interval

    def seconds_until_look(self) -> float:
        """See `FollowedConfiguration`."""
        return self._next_look - time.monotonic()

    def _plan_look(self) -> None:
        """Without a reason to look again and again, what was refused is still read again: workers may have taken it."""
        interval = min(self._interval, _RETRY_SECONDS) if self._configurations.problems else self._interval
        self._next_look = time.monotonic() + interval

    def has_changed(self) -> bool:
        """See `FollowedConfiguration`."""
        has_changed = self._configurations.has_changed()
        if has_changed:
            self.reload()
        self._plan_look()
        return has_changed

    def reload(self) -> None:
        """See `FollowedConfiguration`."""
        with contextlib.suppress(ReloadRefusedError):
            following = self._configurations.read_next()
            if following is not None:
                self._configurations.use(following)
                self._show_configuration()
        self._plan_look()

    def roll_back(self) -> bool:
        """See `FollowedConfiguration`."""
        if self._configurations.previous is None:
            return False
        self._configurations.go_back()
        self._show_configuration()
        return True

    def _show_configuration(self) -> None:
        current = self._configurations.current
        configure_logs(current.settings.log_level, configuration=current.version)
