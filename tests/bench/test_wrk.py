"""The output of wrk, its scripts and its command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import wrk

_OUTPUT = """Running 2s test @ http://127.0.0.1:45671/fhir/Observation/obs-1
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.05ms  221.12us   8.21ms   93.42%
    Req/Sec    15.43k     1.02k   16.60k    80.95%
  32246 requests in 2.10s, 69.85MB read
Requests/sec:  15354.21
Transfer/sec:     33.26MB
bench: requests=32246 microseconds=2100138 connect=0 read=0 write=0 status=0 timeout=0
"""


def test_the_summary_line_is_read_out_of_the_whole_output() -> None:
    assert wrk.parse_summary(_OUTPUT) == wrk.Summary(32246, 2.100138, 0)


def test_all_kinds_of_errors_are_added_up() -> None:
    line = "bench: requests=10 microseconds=1000000 connect=1 read=2 write=3 status=4 timeout=5"
    assert wrk.parse_summary(line).errors == 15


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1 Connection refused", "bench: requests=x"])
def test_output_without_a_summary_is_no_run(output: str) -> None:
    with pytest.raises(wrk.UnusableRun, match="no summary"):
        wrk.parse_summary(output)


@pytest.mark.parametrize("summary", [wrk.Summary(1000, 2.0, 1), wrk.Summary(0, 2.0, 0)])
def test_a_run_with_errors_or_without_requests_does_not_count(summary: wrk.Summary) -> None:
    with pytest.raises(wrk.UnusableRun, match="http://x/"):
        wrk.check_summary(summary, "http://x/")


def test_a_run_without_errors_counts() -> None:
    summary = wrk.Summary(1000, 2.0, 0)
    assert wrk.check_summary(summary, "http://x/") is summary


def test_one_token_needs_no_script_that_builds_requests() -> None:
    assert "request =" not in wrk.make_script("/fhir/x", None)


def test_many_tokens_are_rotated_over_the_path() -> None:
    text = wrk.make_script("/fhir/x?code=all", Path("folder/ours.tokens"))
    assert 'io.lines("folder/ours.tokens")' in text
    assert '"/fhir/x?code=all"' in text
    assert "@" not in text


def test_the_command_has_one_thread_whole_seconds_and_the_headers() -> None:
    line = wrk.make_command("http://x/", Path("s.lua"), 0.4, 16, ["A: b"])
    assert line == ["wrk", "-t", "1", "-c", "16", "-d", "1s", "-s", "s.lua", "-H", "A: b", "http://x/"]
