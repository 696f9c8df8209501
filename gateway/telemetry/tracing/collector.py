"""The collector that spans are sent to, by OTLP over HTTP. Used from one thread that may wait."""

import gzip
import logging
import ssl
import threading
from typing import NamedTuple

import httpx2

from gateway.settings.serving.tracing import Tracing
from gateway.telemetry.tracing.otlp import read_rejected

_log = logging.getLogger(__name__)
# Seconds for one attempt, and the waits before further ones (OTLP/HTTP "Retryable Response Codes").
_TIMEOUT = 5.0
_WAITS = (1.0, 2.0, 4.0)
_LONGEST_WAIT = 30.0
_TRY_AGAIN = frozenset({429, 502, 503, 504})


class _Attempt(NamedTuple):
    """`rejected` is None if nothing was taken. `problem` is for the log."""

    rejected: int | None
    problem: str = ""
    may_try_again: bool = False
    wait: float | None = None


class Collector:
    """Sends one body after the other. That it does not take them is logged once, and once that it does again."""

    def __init__(self, settings: Tracing) -> None:
        """Nothing is connected yet. Raises `OSError` and `ValueError` if the file of authorities cannot be used."""
        context = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip", **settings.header_fields()}
        self._endpoint = settings.endpoint
        self._client = httpx2.Client(
            headers=headers, timeout=_TIMEOUT, verify=context, trust_env=False, follow_redirects=False
        )
        self._is_away = False

    def send(self, body: bytes, is_closing: threading.Event) -> int | None:
        """Send an export request. Returns how many of its spans were rejected; None if nothing was taken.

        It is tried again for some seconds, unless `is_closing` is set.
        """
        compressed = gzip.compress(body, 1)
        attempt = self._try(compressed)
        for wait in _WAITS:
            if not attempt.may_try_again or is_closing.wait(min(attempt.wait or wait, _LONGEST_WAIT)):
                break
            attempt = self._try(compressed)
        self._log_change(attempt)
        return attempt.rejected

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _try(self, body: bytes) -> _Attempt:
        try:
            response = self._client.post(self._endpoint, content=body)
        except (httpx2.HTTPError, OSError) as error:
            return _Attempt(None, type(error).__name__, may_try_again=True)
        if response.status_code in _TRY_AGAIN:
            wait = response.headers.get("retry-after", "")
            seconds = float(wait) if wait.isascii() and wait.isdecimal() else None
            return _Attempt(None, f"status {response.status_code}", may_try_again=True, wait=seconds)
        if response.status_code != 200:
            return _Attempt(None, f"status {response.status_code}")
        try:
            return _Attempt(read_rejected(response.content))
        except ValueError:
            return _Attempt(None, "a response that is not of OTLP")

    def _log_change(self, attempt: _Attempt) -> None:
        is_away = attempt.rejected is None
        if is_away is not self._is_away:
            self._is_away = is_away
            if is_away:
                _log.warning("the collector does not take spans", extra={"problem": attempt.problem})
            else:
                _log.info("the collector takes spans again")
