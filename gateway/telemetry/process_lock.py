"""A lock between processes that were forked from one; it is free again when its holder dies."""

import fcntl
import os


class ProcessLock:
    """A context manager. Made before the fork. Not for threads of one process, which would both hold it."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("process-lock")

    def __enter__(self) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
