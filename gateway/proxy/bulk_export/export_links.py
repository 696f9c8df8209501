"""The gateway's own links to the job and the files of an export."""

from dataclasses import dataclass

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.request.interaction import ExportCancel, ExportFile, ExportStatus
from gateway.policy.decision_types import ExportFileFilter, ExportFilter, ExportJobFilter
from gateway.policy.export_link import ExportSealer, FileKind, SealedFile, SealedJob
from gateway.policy.permission.access import Access
from gateway.policy.reasons import Reason


@dataclass(frozen=True, slots=True)
class OpenedJob:
    """The job of a link, which is asked for or ended."""

    job: SealedJob
    is_cancelled: bool

    @property
    def kickoff(self) -> tuple[str, str]:
        """Path and query of the kick-off on which it depends whether the link may be followed."""
        return self.job.path, self.job.query

    def filter_response(self, export: ExportFilter) -> ExportJobFilter:
        """What is kept of the response, where `export` is permitted."""
        return ExportJobFilter(export, self.job, self.is_cancelled)


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """The file of a link."""

    file: SealedFile

    @property
    def kickoff(self) -> tuple[str, str]:
        """As of a job: an export of the file's type alone."""
        return "/$export", f"_type={self.file.resource_type}" if self.file.kind is FileKind.OUTPUT else ""

    def filter_response(self, export: ExportFilter) -> ExportFileFilter:
        """As of a job."""
        return ExportFileFilter(export, self.file)


class ExportLinks:
    """Makes and opens the links."""

    def __init__(self, sealer: ExportSealer, *, public_base: str, lifetime: int) -> None:
        """`lifetime` is in seconds."""
        self._sealer = sealer
        self._public_base = public_base
        self._lifetime = lifetime

    def kickoff_link(self, job: SealedJob) -> str:
        """The public URL of the kick-off."""
        return self._public_base + job.path + (f"?{job.query}" if job.query else "")

    def job_link(self, job: SealedJob, access: Access) -> str:
        """A link to the job."""
        return f"{self._public_base}/$export-status?_job={self._sealer.seal_job(job, access)}"

    def file_link(self, file: SealedFile, access: Access) -> str:
        """A link to the file."""
        return f"{self._public_base}/$export-file?_file={self._sealer.seal_file(file, access)}"

    def open(
        self, link: ExportStatus | ExportCancel | ExportFile, access: Access, now: float
    ) -> "OpenedJob | OpenedFile":
        """What a link leads to, if it was made for the same grant. Raises `RequestRefused`.

        `now` is in seconds since the epoch.
        """
        opened: OpenedJob | OpenedFile | None
        if isinstance(link, ExportFile):
            file = self._sealer.open_file(link.sealed_file, access, now)
            opened = None if file is None else OpenedFile(file)
        else:
            job = self._sealer.open_job(link.sealed_job, access, now)
            opened = None if job is None else OpenedJob(job, is_cancelled=isinstance(link, ExportCancel))
        if opened is None:
            raise RequestRefused(Reason.EXPORT_UNKNOWN)
        return opened

    def expiry(self, now: float) -> int:
        """When a link that is made now ends, in epoch seconds."""
        return int(now) + self._lifetime
