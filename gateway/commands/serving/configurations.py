"""The configuration in force, the one before it, and the reading of the next one from its files."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway.settings.loading.configuration import Configuration
from gateway.settings.loading.load import SettingsError, load_configuration
from gateway.settings.loading.valid_parts import Rule
from gateway.settings.serving.restart import find_restart_settings
from gateway.smart_server.configuration_control import ReloadRefusedError
from gateway.telemetry.configuration_metrics import ReloadOutcome

_FileState = tuple[int, int, int] | None


class Configurations:
    """What a process has of configurations. It reads files, and nothing runs because of it.

    The files are looked at by time, inode and size: a Kubernetes volume replaces a link, and an editor the file.
    """

    def __init__(self, path: Path | None, environ: Mapping[str, str], rules: Iterable[Rule]) -> None:
        """Read the first configuration. `rules` are those of the start. Raises `SettingsError`."""
        self._path = path
        self._environ = dict(environ)
        self._rules = tuple(rules)
        self.current = load_configuration(path, self._environ, self._rules)
        self.previous: Configuration | None = None
        self.problems: tuple[str, ...] = ()
        """Why the files as they were read last are not in force; empty if they are."""
        self._is_refused = False
        self._handled = self._seen = self._states()

    def has_changed(self) -> bool:
        """Whether the files differ from what was read last, or were refused; asked again and again.

        Two looks in a row must find the same, so that no half-written file is read. What was refused may have depended
        on a file that has come meanwhile.
        """
        earlier, self._seen = self._seen, self._states()
        return self._seen == earlier and (self._seen != self._handled or self._is_refused)

    def read_next(self) -> Configuration | None:
        """The configuration as the files are now; None if it is the one in force. Raises `ReloadRefusedError`."""
        self._handled = self._states()
        try:
            configuration = load_configuration(self._path, self._environ, self._rules)
        except SettingsError as error:
            raise self._refuse(ReloadOutcome.INVALID, map(str, error.problems)) from error
        names = find_restart_settings(self.current.settings, configuration.settings)
        if names:
            raise self._refuse(ReloadOutcome.NEEDS_RESTART, [f"needs a restart: {name}" for name in names])
        self.problems, self._is_refused = (), False
        return None if configuration.is_same(self.current) else configuration

    def use(self, configuration: Configuration) -> None:
        """From now on this one is in force, and there is a way back to the one before."""
        self.previous, self.current = self.current, configuration

    def go_back(self) -> None:
        """From now on the one before is in force again, until the files change. There is no way back from that."""
        assert self.previous is not None
        self.problems = (f"{self.current.version}, which the files still have, was rolled back",)
        self._is_refused = False
        self.current, self.previous = self.previous, None

    def fail(self, problem: str) -> ReloadRefusedError:
        """The error of a configuration that is valid and cannot be brought into force now."""
        return self._refuse(ReloadOutcome.UNAVAILABLE, [problem])

    def _refuse(self, outcome: ReloadOutcome, problems: Iterable[str]) -> ReloadRefusedError:
        self.problems, self._is_refused = tuple(problems), True
        return ReloadRefusedError(outcome, *self.problems)

    def _states(self) -> tuple[_FileState, ...]:
        files = self.current.files if self._path is None else (self._path, *self.current.files)
        return tuple(map(_state, files))


def _state(file: Path) -> _FileState:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
