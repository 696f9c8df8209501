"""Sealed links of an export: what was sealed is what is opened, by the same grant, for the same purpose, in time."""

from dataclasses import replace

import pytest

from gateway.policy.export_link import ExportSealer, FileKind, SealedFile, SealedJob
from gateway.policy.permission.access import Access

SEALER = ExportSealer(b"k" * 32)
ACCESS = Access("https://issuer.example", "app", "subject", (), 9e9, scope_text="system/*.rs")
JOB = SealedJob("/$export", "_type=Patient", "/fhir/jobs/1?x=1", 1000)
FILE = SealedFile(FileKind.OUTPUT, "Patient", "https://storage.example/x", "/x/1?signature=a%2Fb", 1000, ("_type=X",))


def test_what_was_sealed_is_what_is_opened() -> None:
    assert SEALER.open_job(SEALER.seal_job(JOB, ACCESS), ACCESS, 999) == JOB
    assert SEALER.open_file(SEALER.seal_file(FILE, ACCESS), ACCESS, 999) == FILE


def test_a_link_ends_in_time() -> None:
    assert SEALER.open_job(SEALER.seal_job(JOB, ACCESS), ACCESS, 1000) is None
    assert SEALER.open_file(SEALER.seal_file(FILE, ACCESS), ACCESS, 1000) is None


@pytest.mark.parametrize(
    "changes", [{"client_id": "x"}, {"issuer": "x"}, {"subject": None}, {"patient": "p"}, {"scope_text": "x"}]
)
def test_another_grant_opens_nothing(changes: dict[str, str | None]) -> None:
    other = replace(ACCESS, **changes)  # type: ignore[arg-type]
    assert SEALER.open_job(SEALER.seal_job(JOB, ACCESS), other, 0) is None
    assert SEALER.open_file(SEALER.seal_file(FILE, ACCESS), other, 0) is None


def test_a_link_to_a_job_is_none_to_a_file() -> None:
    assert SEALER.open_file(SEALER.seal_job(JOB, ACCESS), ACCESS, 0) is None
    assert SEALER.open_job(SEALER.seal_file(FILE, ACCESS), ACCESS, 0) is None


def test_an_altered_link_opens_nothing() -> None:
    handle = SEALER.seal_job(JOB, ACCESS)
    altered = [handle[:at] + ("A" if handle[at] != "A" else "B") + handle[at + 1 :] for at in range(len(handle))]
    assert [text for text in (*altered, "", "A", handle + "=", handle * 200) if SEALER.open_job(text, ACCESS, 0)] == []
