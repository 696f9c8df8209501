"""A time limit for a call of foreign code in the main thread: what computes for too long is interrupted."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

_Result = TypeVar("_Result")


class TimeLimitReached(BaseException):
    """Interrupts a call. It is no `Exception`, so that the called code does not take it for one of its own."""


class _Limit:
    """The one call that may be interrupted now."""

    is_running = False
    is_installed = False


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    if _Limit.is_running:
        _Limit.is_running = False
        raise TimeLimitReached


def call_within(seconds: float, call: Callable[[], _Result]) -> _Result:
    """The result of the call. Raises `TimeLimitReached` if it computes for longer.

    The limit is about processor time: waiting is not interrupted. In other threads than the main one nothing is.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    if not _Limit.is_installed:
        signal.signal(signal.SIGVTALRM, _interrupt)
        _Limit.is_installed = True
    try:
        return _call_interruptibly(seconds, call)
    finally:
        # An alarm that comes between here and the end of the call finds that nothing runs.
        _Limit.is_running = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _call_interruptibly(seconds: float, call: Callable[[], _Result]) -> _Result:
    _Limit.is_running = True
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        return call()
    finally:
        _Limit.is_running = False
