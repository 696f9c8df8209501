"""Downloads, installations and builds that are made once and kept between runs."""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The top of the repository."""

CACHE = ROOT / ".cache"
"""The folder of most of them, which git ignores."""


class NotAvailable(Exception):
    """Something that is needed is missing on this machine; the message names it."""


def install_once(folder: Path, stamp: str, install: Callable[[Path], None]) -> Path:
    """Have `install` fill the folder, once for each `stamp` of its sources. Processes wait for each other.

    The stamp is written last, so that an incomplete folder is never used.
    """
    CACHE.mkdir(exist_ok=True)
    # The lock is named after the whole path, because several folders are called node_modules.
    name = os.path.relpath(folder, ROOT).replace(os.sep, "-")
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = folder / ".ready"
        if not ready.exists() or ready.read_text() != stamp:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            install(folder)
            ready.write_text(stamp)
    return folder


def say(sentence: str) -> None:
    """Print progress to standard error; standard output is for the result of a command."""
    print(sentence, file=sys.stderr, flush=True)
