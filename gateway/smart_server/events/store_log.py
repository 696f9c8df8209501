"""Logs that the store went away and that it is back: one line each, however many tasks and requests notice it."""

import logging

from gateway.storage.backends.store import StoreUnavailableError

_log = logging.getLogger(__name__)


class StoreLog:
    """What a worker knows about the store.

    Operations overlap, so each has a number by which it is known what came first. The store is back when what failed
    succeeds: one that can be read and not written is not.
    """

    def __init__(self) -> None:
        self._started = self._succeeded = 0
        self._failed_operation: str | None = None

    def start(self) -> int:
        """The number of an operation that starts."""
        self._started += 1
        return self._started

    def log_failure(self, operation: str, number: int, error: StoreUnavailableError) -> None:
        """The store did not respond. What started before a success says nothing new."""
        if self._failed_operation is None and number > self._succeeded:
            self._failed_operation = operation
            _log.warning("the store does not answer", extra={"detail": str(error)[:200]})

    def log_success(self, operation: str) -> None:
        """The store responded."""
        self._succeeded = self._started
        if self._failed_operation == operation:
            self._failed_operation = None
            _log.info("the store answers again")
