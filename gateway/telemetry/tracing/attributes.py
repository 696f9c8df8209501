"""What spans say: OpenTelemetry's semantic conventions for HTTP where they have a name, and names of FHIR.

`url.full`, `url.path`, `url.query`, `client.address`, `user_agent.original` and `user.id` of these conventions are left
out: URLs of FHIR hold ids of patients and what is searched for, and people are not named.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from gateway.fhir.request.interaction_name import interaction_name
from gateway.scopes.resource_types import RESOURCE_TYPES
from gateway.telemetry.labels import requested_type
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.tracing.spans import Attributes

METHOD, STATUS, ROUTE, ERROR_TYPE = "http.request.method", "http.response.status_code", "http.route", "error.type"
SERVER_ADDRESS, SERVER_PORT, TEMPLATE = "server.address", "server.port", "url.template"
INTERACTION, RESOURCE_TYPE = "fhir.interaction", "fhir.resource_type"
REASON, DECISION_ID = "smart_gateway.reason", "smart_gateway.decision_id"
TOKEN_CACHED, CONFIGURATION = "smart_gateway.token_cached", "smart_gateway.configuration"
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
# The words of FHIR's RESTful API in paths. Everything else may be an id.
_WORDS = RESOURCE_TYPES | {"_history", "_search", "metadata", "*"}


def known_method(method: str) -> str:
    """The method as an attribute: `_OTHER` for what may be anything."""
    return method if method in _METHODS else "_OTHER"


def span_name(method: str, route: str | None) -> str:
    """The name of a span of an HTTP request."""
    known = method if method in _METHODS else "HTTP"
    return known if route is None else f"{known} {route}"


class FhirPaths:
    """Templates of the paths of FHIR requests: they keep what FHIR and the settings define, and nothing else."""

    def __init__(self, operations: Collection[str]) -> None:
        """`operations` are the names of the operations that are known, without `$`."""
        self._words = _WORDS | {f"${name}" for name in operations}

    def template(self, path: str) -> str:
        """The template of a path below the base, such as `/Patient/{id}`."""
        return "/".join(self._template_segment(segment) for segment in path.split("/"))

    def _template_segment(self, segment: str) -> str:
        if not segment or segment in self._words:
            return segment
        return "{operation}" if segment[0] == "$" else "{id}"


class ServerNames:
    """The FHIR server, as spans name it."""

    def __init__(self, base_url: str, paths: FhirPaths) -> None:
        """`base_url` is an absolute URL, without a slash at the end."""
        parts = urlsplit(base_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._attributes: Attributes = {SERVER_ADDRESS: parts.hostname or "", SERVER_PORT: port}
        self._base = parts.path
        self._paths = paths

    def describe(
        self, method: bytes, target: bytes, status: int, error: Exception | None
    ) -> tuple[str, Attributes, str]:
        """Name, attributes and error of the span of a request to it. `status` is 0 if there was no response.

        What is requested elsewhere than below the base, such as a file of an export, has no template.
        """
        name = known_method(method.decode("ascii", "replace"))
        attributes: dict[str, str | int | bool] = {METHOD: name, **self._attributes}
        path = target.partition(b"?")[0].decode("ascii", "replace")
        if path.startswith(f"{self._base}/"):
            attributes[TEMPLATE] = template = self._base + self._paths.template(path.removeprefix(self._base))
            name = f"{name} {template}"
        if status:
            attributes[STATUS] = status
        if error is not None:
            problem = type(error).__name__
        elif status:
            problem = str(status) if status >= 400 else ""
        else:
            problem = "cancelled"
        if problem:
            attributes[ERROR_TYPE] = problem
        return name, attributes, problem


def describe_request(record: RequestRecord, route: str | None) -> tuple[str, Attributes, str]:
    """Name, attributes and error of the span of a FHIR request. `route` is None if the request could not be read."""
    attributes: dict[str, str | int | bool] = {
        METHOD: known_method(record.method),
        STATUS: record.status,
        REASON: record.reason.value,
        DECISION_ID: record.decision_id,
    }
    if record.interaction is not None:
        attributes[INTERACTION] = interaction_name(record.interaction)
        resource_type = requested_type(record.interaction)
        if resource_type in RESOURCE_TYPES:
            attributes[RESOURCE_TYPE] = resource_type
    if route is not None:
        attributes[ROUTE] = route
    if record.token_cached is not None:
        attributes[TOKEN_CACHED] = record.token_cached
    if record.configuration:
        attributes[CONFIGURATION] = record.configuration
    error = record.reason.value if record.status >= 500 else ""
    if error:
        attributes[ERROR_TYPE] = error
    return span_name(record.method, route), attributes, error


def describe_response(method: str, route: str | None, status: int) -> tuple[str, Attributes, str]:
    """Name, attributes and error of the span of any other request. `status` is 0 if there was no response."""
    attributes: dict[str, str | int | bool] = {METHOD: known_method(method)}
    if status:
        attributes[STATUS] = status
    if route is not None:
        attributes[ROUTE] = route
    error = "" if 0 < status < 500 else str(status or "no_response")
    if error:
        attributes[ERROR_TYPE] = error
    return span_name(method, route), attributes, error
