"""Settings of the recording of requests, without anything of a person, for `policy diff`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from gateway.settings.section import Conflict, Section, conflict_rule
from gateway.settings.setting_types import Count

_MIN_BYTES = 64 * 1024


class Recording(Section):
    """Which requests come, without ids and values, so that a changed configuration can be tried on them."""

    file: Annotated[
        Path | None,
        Field(
            description="A file to which shapes of requests are appended, one line of JSON each; without it nothing "
            "is recorded. See docs/policy-diff.md for what is in it."
        ),
    ] = None
    sample: Annotated[
        float, Field(gt=0, le=1, allow_inf_nan=False, description="Which part of the requests is recorded; 1 for all.")
    ] = 1.0
    max_bytes: Annotated[
        Count,
        Field(
            description="How long the file may become. Then it goes on anew, and what was there is kept under the same "
            "name with `.1`, in place of what was kept before."
        ),
    ] = 16 * 1024 * 1024
    shapes: Annotated[
        Count,
        Field(
            le=100_000,
            description="How many shapes each worker remembers, to count the requests of each instead of writing them.",
        ),
    ] = 2000

    @conflict_rule
    def _short_file(self) -> Iterator[Conflict]:
        if self.max_bytes < _MIN_BYTES:
            yield Conflict(("max_bytes",), f"must be at least {_MIN_BYTES}: some hundred shapes")

    @conflict_rule
    def _no_such_directory(self) -> Iterator[Conflict]:
        if self.file is not None and not self.file.parent.is_dir():
            yield Conflict(("file",), "names a directory that does not exist")
