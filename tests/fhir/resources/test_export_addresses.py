"""Where the URLs of an export lead to, and which of them the gateway does not follow."""

import pytest

from gateway.fhir.resources.export_addresses import ExportAddresses, ExportTarget
from gateway.fhir.resources.page_target import UnusableLinkError

STORAGE = "https://storage.example/exports"
ADDRESSES = ExportAddresses(
    "http://fhir.internal:8080/fhir", ("https://public.example/r4", "https://alias.example"), (STORAGE,)
)

FOLLOWED = {
    "http://fhir.internal:8080/fhir/$export-poll-status?_jobId=1": ("", "/fhir/$export-poll-status?_jobId=1"),
    "http://fhir.internal/fhir/Binary/1": ("", "/fhir/Binary/1"),
    "https://fhir.internal:8080/fhir/Binary/1": ("", "/fhir/Binary/1"),
    "http://fhir.internal:8080/operations/1?a=%2F": ("", "/operations/1?a=%2F"),
    "https://public.example/r4/Binary/1": ("", "/fhir/Binary/1"),
    "https://ALIAS.example/Binary/1": ("", "/fhir/Binary/1"),
    "/fhir/jobs/1": ("", "/fhir/jobs/1"),
    "jobs/1": ("", "/fhir/jobs/1"),
    f"{STORAGE}/a/b.ndjson?X-Amz-Signature=1%2F2": (STORAGE, "/exports/a/b.ndjson?X-Amz-Signature=1%2F2"),
}
REFUSED = [
    "https://storage.example/other/1",
    "https://storage.example/exports-of-others/1",
    "http://storage.example/exports/1",
    "https://storage.example:8443/exports/1",
    "https://storage.example/exports/../other/1",
    "https://storage.example/exports/%2e%2e/other/1",
    "https://storage.example/exports/%2E./other/1",
    "https://storage.example/exports/..%2fother/1",
    "https://storage.example/exports/..;x/other/1",
    "https://storage.example/exports/a;x/../../other/1",
    "https://storage.example/exports\\..\\other",
    "https://storage.example.evil.example/exports/1",
    "https://storage.example@evil.example/exports/1",
    "https://user:password@storage.example/exports/1",
    "https://public.example/other/1",
    "https://fhir.internal:9000/other/1",
    "http://evil.example/fhir/1",
    "//evil.example/fhir/1",
    "ftp://fhir.internal/fhir/1",
    "file:///etc/passwd",
    "http://fhir.internal:8080/fhir/a b",
    "http://fhir.internal:8080/fhir/a\r\nb",
    "http://fhir.internal:8080/fhir/\t..",
    "http://fhir.internal:8080/fhir/1#fragment",
    "http://fhir.internal:8080/fhir/ü",
    "http://fhir.internal:99999/fhir/1",
    "http://[fhir/1",
    "x" * 9000,
]


@pytest.mark.parametrize("url", FOLLOWED)
def test_a_url_of_the_server_or_of_a_storage_leads_there(url: str) -> None:
    assert ADDRESSES.resolve(url) == ExportTarget(*FOLLOWED[url])


@pytest.mark.parametrize("url", REFUSED)
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(UnusableLinkError):
        ADDRESSES.resolve(url)


def test_a_server_at_the_root_of_its_host_is_found() -> None:
    assert ExportAddresses("https://fhir.example").resolve("https://fhir.example/jobs/1") == ExportTarget("", "/jobs/1")
