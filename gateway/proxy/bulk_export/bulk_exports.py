"""Responds to the requests of a bulk export: starts it, says how far it is, lists and hands out its files, ends it."""

import re
from collections.abc import Sequence
from email.utils import formatdate, parsedate_to_datetime
from typing import assert_never

from gateway.asgi.refusal import RequestRefused
from gateway.asgi.response import FHIR_HEADERS, FhirResponse, StreamedBody, fhir_response
from gateway.asgi.types import Header
from gateway.fhir.request.export_parameters import NDJSON
from gateway.fhir.request.interaction import ExportKickoff
from gateway.fhir.resources.export_addresses import ExportTarget
from gateway.fhir.resources.export_manifest import Manifest, ManifestFile, read_manifest, write_manifest
from gateway.fhir.resources.links import UrlRewriter
from gateway.policy.decision_types import Allow, ExportFileFilter, ExportFilter, ExportJobFilter
from gateway.policy.export_link import FileKind, SealedFile, SealedJob
from gateway.policy.judgement.judge_export_lines import LineJudge
from gateway.policy.judgement.judge_export_notes import NoteJudge, abridge_outcome, judge_deletions
from gateway.policy.judgement.omissions import encode_omissions
from gateway.policy.permission.export_permission import export_permission
from gateway.policy.reasons import Reason
from gateway.proxy.bulk_export.export_file import BlockJudge, judge_file, pass_file
from gateway.proxy.bulk_export.export_links import ExportLinks
from gateway.proxy.bulk_export.export_server import ExportServer
from gateway.proxy.fhir_server import FhirServer, failure, read_head, read_json, refuse_response
from gateway.proxy.request_context import RequestContext
from gateway.upstream.exchange_types import Response, UpstreamError

_NO_STORE: Header = (b"cache-control", b"no-store")
_FILE_HEADERS: tuple[Header, ...] = (
    (b"content-type", NDJSON.encode()),
    (b"x-content-type-options", b"nosniff"),
    _NO_STORE,
)
# What files beside the output are said to hold, whatever the FHIR server says.
_TYPES_OF_NOTES = {FileKind.DELETED: "Bundle", FileKind.ERROR: "OperationOutcome"}
_NDJSON_TYPE = re.compile(rb"application/(fhir\+ndjson|ndjson|x-ndjson)\s*(;.*)?", re.IGNORECASE)
# Storages do not always keep the type.
_STORAGE_TYPE = re.compile(rb"((application|binary)/octet-stream|text/plain)\s*(;.*)?", re.IGNORECASE)
# What a progress may say where the token does not see everything: numbers of records could include hidden ones.
_HARMLESS_PROGRESS = re.compile(r"[A-Za-z ,.\-]{0,40}(?:\d{1,3}(?:\.\d{1,2})? ?%)?[A-Za-z ,.\-]{0,40}")
_MAX_PROGRESS = 100
# Seconds. A client that waits longer than this would not find out in time that its export is complete.
_MAX_RETRY_AFTER = 3600


class BulkExports:
    """Responds to allowed requests of an export. Every method raises `RequestRefused`."""

    def __init__(
        self, server: FhirServer, exports: ExportServer, links: ExportLinks, rewriter: UrlRewriter, *, file_limit: int
    ) -> None:
        """`file_limit` is in bytes, of one file."""
        self._exports = exports
        self._links = links
        self._rewriter = rewriter
        self._body_limit = server.body_limit
        self._file_limit = file_limit

    async def start(self, allow: Allow, export: ExportFilter, context: RequestContext) -> FhirResponse:
        """Start the export. The response names the link to its job, and says what was left out."""
        if isinstance(context.interaction, ExportKickoff) and not context.interaction.is_asynchronous:
            raise RequestRefused(
                Reason.PARAMETER_INVALID, "Prefer", hint="A bulk export needs the header 'Prefer: respond-async'."
            )
        target = await self._exports.start(allow.upstream_request, export.parameters, context.trace)
        path, query = context.address
        job = SealedJob(path, query, target, self._links.expiry(context.now))
        location = (b"content-location", self._links.job_link(job, context.access).encode())
        if not allow.omitted_parameters:
            return FhirResponse(202, Reason.PERMITTED, b"", [_NO_STORE, location])
        return FhirResponse(
            202, Reason.PERMITTED, encode_omissions(allow.omitted_parameters), [*FHIR_HEADERS, location]
        )

    async def follow(self, allow: Allow, job_filter: ExportJobFilter, context: RequestContext) -> FhirResponse:
        """The state of the job: 202 while it runs, then its manifest. Or the end of the job."""
        target = job_filter.job.target
        if job_filter.is_cancelled:
            await self._exports.cancel(target, context.trace)
            return FhirResponse(202, Reason.PERMITTED, b"", [_NO_STORE])
        response = await self._exports.poll(target, context.trace)
        if response.status == 202:
            await response.aclose()
            return FhirResponse(202, Reason.PERMITTED, b"", _progress_headers(response, job_filter.export, context.now))
        try:
            body = await read_json(response, self._body_limit)
        except UpstreamError as error:
            raise failure(error) from error
        return self._respond_with_manifest(read_manifest(body), allow, job_filter, context)

    def _respond_with_manifest(
        self, manifest: Manifest, allow: Allow, job_filter: ExportJobFilter, context: RequestContext
    ) -> FhirResponse:
        export, dropped = job_filter.export, dict[str, int]()
        permitted = [file for file in manifest.output if export.permits_type(file.type)]
        for file in manifest.output:
            if not export.permits_type(file.type):
                dropped[file.type] = dropped.get(file.type, 0) + (file.count or 1)
        expires_at = self._links.expiry(context.now)
        errors = self._seal(FileKind.ERROR, manifest.error, export, expires_at, context)
        if allow.omitted_parameters:
            errors.append(self._seal_omissions(allow.omitted_parameters, expires_at, context))
        body = write_manifest(
            manifest,
            request=self._links.kickoff_link(job_filter.job),
            output=self._seal(FileKind.OUTPUT, permitted, export, expires_at, context),
            deleted=self._seal(FileKind.DELETED, manifest.deleted, export, expires_at, context),
            error=errors,
        )
        answer = fhir_response(body, headers=((b"expires", formatdate(expires_at, usegmt=True).encode()),))
        answer.headers[0] = (b"content-type", b"application/json")
        answer.dropped = dropped
        return answer

    def _seal_omissions(self, omissions: tuple[str, ...], expires_at: int, context: RequestContext) -> ManifestFile:
        """A file that says what was left out, which is made when it is fetched."""
        file = SealedFile(FileKind.OMISSIONS, "OperationOutcome", "", "", expires_at, omissions)
        return ManifestFile(file.resource_type, self._links.file_link(file, context.access))

    def _seal(
        self,
        kind: FileKind,
        files: Sequence[ManifestFile],
        export: ExportFilter,
        expires_at: int,
        context: RequestContext,
    ) -> list[ManifestFile]:
        """The files under links of this gateway. A number that could include what is hidden is left out."""
        sealed = []
        for file in files:
            target, resource_type = self._exports.resolve(file.url), _TYPES_OF_NOTES.get(kind, file.type)
            link = self._links.file_link(
                SealedFile(kind, resource_type, target.base, target.target, expires_at), context.access
            )
            tells_nothing = export.passes_everything or (
                kind is FileKind.OUTPUT and export_permission(export.grant, file.type).covers_whole_type
            )
            sealed.append(ManifestFile(resource_type, link, file.count if tells_nothing else None))
        return sealed

    async def hand_out(self, file_filter: ExportFileFilter, context: RequestContext) -> FhirResponse:
        """The file, streamed in constant memory."""
        export, file = file_filter.export, file_filter.file
        if file.kind is FileKind.OMISSIONS:
            return FhirResponse(200, Reason.PERMITTED, encode_omissions(file.omissions) + b"\n", list(_FILE_HEADERS))
        if file.kind is FileKind.OUTPUT and not export.permits_type(file.resource_type):
            raise RequestRefused(Reason.EXPORT_UNKNOWN)
        response = await self._exports.open_file(ExportTarget(file.base, file.target), context.trace)
        await self._check_head(response, file)
        answer = FhirResponse(200, Reason.PERMITTED, b"", list(_FILE_HEADERS))
        if export.passes_everything:
            chunks = pass_file(response, answer, self._rewriter, limit=self._file_limit)
            answer.body = StreamedBody(chunks, response.aclose)
            return answer
        judge = _judge_of(file, export)
        chunks = judge_file(
            response, answer, judge, self._rewriter, limit=self._file_limit, line_limit=self._body_limit
        )
        answer.body = StreamedBody(chunks, response.aclose, is_judged=True)
        answer.dropped = judge.dropped
        if isinstance(judge, LineJudge):
            answer.withheld = judge.withheld
        has_rules = bool(export.grant.rules.record_rules)
        if file.kind is FileKind.OUTPUT and export.grant.rules.exports.type_filters and not has_rules:
            answer.narrowing_misses = judge.dropped
        return answer

    async def _check_head(self, response: Response, file: SealedFile) -> None:
        """Refuse what is no complete file of lines. Raises `RequestRefused`."""
        if response.status in {404, 410}:
            await response.aclose()
            raise RequestRefused(Reason.EXPORT_UNKNOWN)
        if not read_head(response).is_readable:
            await refuse_response(response)
        types = [value for name, value in response.headers if name == b"content-type"]
        is_lines = len(types) == 1 and (
            _NDJSON_TYPE.fullmatch(types[0]) or (file.base and _STORAGE_TYPE.fullmatch(types[0]))
        )
        lengths = [int(value) for name, value in response.headers if name == b"content-length"]
        if not is_lines or any(length > self._file_limit for length in lengths):
            await response.aclose()
            raise RequestRefused(Reason.UPSTREAM_TOO_LARGE if is_lines else Reason.UPSTREAM_MALFORMED)


def _judge_of(file: SealedFile, export: ExportFilter) -> BlockJudge:
    match file.kind:
        case FileKind.OUTPUT:
            return LineJudge(export_permission(export.grant, file.resource_type), export.grant)
        case FileKind.DELETED:
            return NoteJudge(judge_deletions, export)
        case FileKind.ERROR | FileKind.OMISSIONS:
            return NoteJudge(abridge_outcome, export)
    assert_never(file.kind)


def _progress_headers(response: Response, export: ExportFilter, now: float) -> list[Header]:
    headers = [_NO_STORE]
    fields = dict(response.headers)
    progress = fields.get(b"x-progress", b"").decode("latin-1").strip()[:_MAX_PROGRESS]
    is_harmless = progress.isprintable() and progress.isascii()
    if not export.passes_everything:
        is_harmless = is_harmless and _HARMLESS_PROGRESS.fullmatch(progress) is not None
    headers.append((b"x-progress", progress.encode() if progress and is_harmless else b"in progress"))
    seconds = _retry_after(fields.get(b"retry-after", b"").decode("latin-1").strip(), now)
    if seconds is not None:
        headers.append((b"retry-after", str(seconds).encode()))
    return headers


def _retry_after(value: str, now: float) -> int | None:
    """The seconds that a client should wait (RFC 9110 10.2.3), within bounds; None if the server does not say."""
    if value.isascii() and value.isdigit():
        seconds = int(value[:9])
    else:
        try:
            seconds = int(parsedate_to_datetime(value).timestamp() - now)
        except (TypeError, ValueError, OverflowError):
            return None
    return min(max(seconds, 1), _MAX_RETRY_AFTER)
