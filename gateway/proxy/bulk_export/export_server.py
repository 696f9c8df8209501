"""The requests of an export to the FHIR server, and to the storages where its files may be."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.request.export_parameters import NDJSON, ExportParameters
from gateway.fhir.resources.export_addresses import ExportAddresses, ExportTarget
from gateway.fhir.resources.page_target import UnusableLinkError
from gateway.policy.decision_types import UpstreamRequest
from gateway.policy.reasons import Reason
from gateway.proxy.fhir_server import FHIR_JSON, FhirServer, failure, refuse_response
from gateway.proxy.upstream_trace import UpstreamTrace
from gateway.upstream.exchange_types import Exchange, Headers, Request, Response, UpstreamError

_log = logging.getLogger(__name__)
_KICKOFF_HEADERS: Headers = ((b"accept", FHIR_JSON), (b"prefer", b"respond-async"))
_STATUS_HEADERS: Headers = ((b"accept", b"application/json"),)
_FILE_HEADERS: Headers = ((b"accept", NDJSON.encode()),)
_CANCEL_HEADERS: Headers = ((b"accept", FHIR_JSON),)
# A kick-off with a longer query is sent as a POST, because common servers refuse request lines of 8 KB.
_MAX_QUERY_LENGTH = 4096
_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTIONS = 3
_MAX_LOGGED_HOST = 100
_INSTANTS = frozenset({"_since", "_until"})


class ExportServer:
    """Sends the requests. Where they go to is in the links, which `ExportAddresses` has approved."""

    def __init__(
        self, server: FhirServer, storages: Mapping[str, Exchange], base_url: str, aliases: Sequence[str]
    ) -> None:
        """`storages` are the connections to each of `bulk_export.file_bases`."""
        self._server = server
        self._storages = storages
        self._base_url = base_url
        self._aliases = tuple(aliases)
        self._addresses = ExportAddresses(base_url, self._aliases, storages)

    def record_statement(self, statement: Any) -> None:
        """Follow links under the base URL that the CapabilityStatement names (`implementation.url`) as well."""
        implementation = statement.get("implementation") if isinstance(statement, dict) else None
        url = implementation.get("url") if isinstance(implementation, dict) else None
        if isinstance(url, str) and url.startswith(("http://", "https://")):
            self._addresses = ExportAddresses(self._base_url, (*self._aliases, url), self._storages)

    async def start(self, kickoff: UpstreamRequest, parameters: ExportParameters, trace: UpstreamTrace) -> str:
        """Start an export, and return the target of its job. Raises `RequestRefused`."""
        response = await self._server.send(self._build_kickoff(kickoff, parameters), trace)
        if response.status != 202:
            if 200 <= response.status < 300:
                await response.aclose()
                raise RequestRefused(Reason.UPSTREAM_MALFORMED)
            await refuse_response(response)
        await response.aclose()
        locations = [value for name, value in response.headers if name == b"content-location"]
        if len(locations) != 1:
            raise RequestRefused(Reason.UPSTREAM_MALFORMED)
        target = self.resolve(locations[0].decode("latin-1"))
        if target.base:
            raise RequestRefused(Reason.EXPORT_URL_REFUSED)
        return target.target

    def _build_kickoff(self, kickoff: UpstreamRequest, parameters: ExportParameters) -> Request:
        path = self._server.base_path + kickoff.path.encode()
        if not parameters.patients and len(kickoff.query) <= _MAX_QUERY_LENGTH:
            return Request(b"GET", path + (b"?" + kickoff.query.encode() if kickoff.query else b""), _KICKOFF_HEADERS)
        return Request(b"POST", path, (*_KICKOFF_HEADERS, (b"content-type", FHIR_JSON)), _encode_parameters(parameters))

    async def poll(self, target: str, trace: UpstreamTrace) -> Response:
        """The status of a job. Raises `RequestRefused` if there is no response, or no such job."""
        return await self._send_to_job(b"GET", target, _STATUS_HEADERS, trace)

    async def cancel(self, target: str, trace: UpstreamTrace) -> None:
        """End a job. Raises `RequestRefused` unless the FHIR server does."""
        response = await self._send_to_job(b"DELETE", target, _CANCEL_HEADERS, trace)
        if not 200 <= response.status < 300:
            await refuse_response(response)
        await response.aclose()

    async def _send_to_job(self, method: bytes, target: str, headers: Headers, trace: UpstreamTrace) -> Response:
        response = await self._server.send(Request(method, target.encode(), headers), trace)
        if response.status in {404, 410}:
            await response.aclose()
            raise RequestRefused(Reason.EXPORT_UNKNOWN)
        return response

    async def open_file(self, file: ExportTarget, trace: UpstreamTrace) -> Response:
        """The response to a request for a file, with its body still unread. Raises `RequestRefused`.

        A redirection is followed to where a file of the manifest could be as well, and nowhere else.
        """
        for _ in range(_MAX_REDIRECTIONS + 1):
            response = await self._send_for_file(file, trace)
            if response.status not in _REDIRECTIONS:
                return response
            await response.aclose()
            locations = [value for name, value in response.headers if name == b"location"]
            if len(locations) != 1:
                raise RequestRefused(Reason.UPSTREAM_MALFORMED)
            file = self.resolve(locations[0].decode("latin-1"))
        raise RequestRefused(Reason.EXPORT_URL_REFUSED)

    async def _send_for_file(self, file: ExportTarget, trace: UpstreamTrace) -> Response:
        request = Request(b"GET", file.target.encode(), _FILE_HEADERS, caller=trace.caller)
        if not file.base:
            return await self._server.send(request, trace)
        storage = self._storages.get(file.base)
        if storage is None:
            # The configuration has changed since the link was made.
            raise RequestRefused(Reason.EXPORT_URL_REFUSED)
        try:
            return await storage.send(request)
        except UpstreamError as error:
            raise failure(error) from error

    def resolve(self, url: str) -> ExportTarget:
        """Where a URL of the FHIR server leads to. Raises `RequestRefused` if the gateway may not go there."""
        try:
            return self._addresses.resolve(url)
        except UnusableLinkError as error:
            # The host alone: a path and a query may be all that is needed to read a file.
            _log.warning(
                "a URL of the FHIR server's export may not be fetched",
                extra={
                    "problem": error.problem.value,
                    "host": error.host[:_MAX_LOGGED_HOST],
                    "remedy": "name the base in upstream.aliases if it is the FHIR server's own, "
                    "and in bulk_export.file_bases if it is a storage of its files",
                },
            )
            raise RequestRefused(Reason.EXPORT_URL_REFUSED) from error


def _encode_parameters(parameters: ExportParameters) -> bytes:
    """The Parameters resource of a POST."""
    values = [{"name": name, _value_name(name): value} for name, value in parameters.pairs()]
    patients = [{"name": "patient", "valueReference": {"reference": str(patient)}} for patient in parameters.patients]
    return orjson.dumps({"resourceType": "Parameters", "parameter": [*values, *patients]})


def _value_name(name: str) -> str:
    return "valueInstant" if name in _INSTANTS else "valueString"
