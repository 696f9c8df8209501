"""The recording of requests: off unless a file is named, and bounded."""

from pathlib import Path

import pytest

from tests.settings.configuration import LEAST, load, problems


def test_nothing_is_recorded_unless_a_file_is_named(tmp_path: Path) -> None:
    assert load(tmp_path, LEAST).recording.file is None
    assert load(tmp_path, f"{LEAST}recording: {{file: {tmp_path}/requests.jsonl}}").recording.file is not None


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("max_bytes: 1000", "recording.max_bytes: must be at least 65536: some hundred shapes"),
        ("file: /nowhere/requests.jsonl", "recording.file: names a directory that does not exist"),
        ("sample: 0", "recording.sample: must be more than 0"),
        ("sample: 1.5", "recording.sample: must be at most 1"),
        ("shapes: 100001", "recording.shapes: must be at most 100000"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, setting: str, sentence: str) -> None:
    [problem] = problems(tmp_path, f"{LEAST}recording:\n  {setting}\n")
    assert sentence in problem
