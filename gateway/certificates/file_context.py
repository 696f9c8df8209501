"""A TLS context of certificate files, which is built anew when they have changed."""

import logging
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway.certificates.certificate_files import file_identity

_log = logging.getLogger(__name__)
# Seconds between two looks at the files. A look is one stat call for each of them.
_INTERVAL = 1.0

_Seen = tuple[tuple[int, int, int] | None, ...]


class FileContext(ssl.SSLContext):
    """Each new connection uses the certificates that the files have now; open ones keep what they began with.

    Loading another certificate into a context that is in use would leave it half-changed where the new files do not
    fit together. So a whole context is built first, and takes the place of the old one. Where that cannot be, the old
    one stays, and the log says why.
    """

    _build: Callable[[], ssl.SSLContext]
    _current: ssl.SSLContext
    _setting: str
    _files: tuple[Path, ...]
    _clock: Callable[[], float]
    _seen: _Seen
    _next_look: float

    @classmethod
    def of(
        cls,
        setting: str,
        files: Sequence[Path],
        build: Callable[[], ssl.SSLContext],
        clock: Callable[[], float] = time.monotonic,
    ) -> "FileContext":
        """`build` makes a context of the files. `setting` names them in the log. Raises the `ValueError` of `build`."""
        seen = _look(files)
        current = build()
        made = cls(current.protocol)
        made._setting, made._files, made._build, made._clock = setting, tuple(files), build, clock
        made._seen, made._current, made._next_look = seen, current, clock() + _INTERVAL
        return made

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Called by the event loop for each new connection."""
        if self._clock() >= self._next_look:
            self._look_again()
        return self._current.wrap_bio(*args, **options)

    def _look_again(self) -> None:
        self._next_look = self._clock() + _INTERVAL
        seen = _look(self._files)
        if seen == self._seen:
            return
        # Remembered before they are read: files that change meanwhile differ at the next look, and are read again.
        self._seen = seen
        try:
            self._current = self._build()
        except ValueError as error:
            _log.error("changed certificates cannot be used", extra={"setting": self._setting, "problem": str(error)})
        else:
            _log.info("changed certificates are in use", extra={"setting": self._setting})


def _look(files: Sequence[Path]) -> _Seen:
    return tuple(file_identity(file) for file in files)
