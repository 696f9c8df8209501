"""Refuses to work in front of a FHIR server that does not speak R4, and says so once in the log."""

import logging
from collections.abc import Callable
from typing import Any

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.resources.fhir_version import FhirVersion, read_fhir_version
from gateway.policy.reasons import Reason

_log = logging.getLogger(__name__)

_WARNINGS = {
    FhirVersion.R4B: "the FHIR server speaks FHIR R4B, whose resources are judged by the rules of R4",
    FhirVersion.UNSTATED: "the FHIR server's CapabilityStatement states no FHIR version; R4 is assumed",
}


class FhirVersionCheck:
    """Checks each CapabilityStatement of the FHIR server.

    R4's tables say whom a resource is about. Those of another version would be judged by elements that mean something
    else there, so that every request is refused until the server states R4 again.
    """

    def __init__(self, set_server_supported: Callable[[bool], None]) -> None:
        """`set_server_supported` is told after each statement whether the FHIR server's resources can be judged."""
        self._set_server_supported = set_server_supported
        self._last_stated: tuple[FhirVersion, str] | None = None
        # What the readiness check says beside "ready".
        self.warning = ""

    def __call__(self, statement: Any) -> None:
        """Check the statement. Raises `RequestRefused` unless it is of R4 or close to it."""
        stated = version, text = read_fhir_version(statement)
        is_news, self._last_stated = stated != self._last_stated, stated
        self.warning = _WARNINGS.get(version, "")
        self._set_server_supported(version is not FhirVersion.OTHER)
        if is_news and self.warning:
            _log.warning(self.warning, extra={"fhir_version": text})
        if version is FhirVersion.OTHER:
            if is_news:
                _log.error(
                    "the FHIR server does not speak FHIR R4, so that every request is refused",
                    extra={"fhir_version": text},
                )
            raise RequestRefused(
                Reason.UPSTREAM_VERSION_UNSUPPORTED, hint=f"It states FHIR version {text or 'of no form'}."
            )
