"""What is fetched, installed or built once and kept between runs, and what is said while that takes its time."""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The top of the repository."""

CACHE = ROOT / ".cache"
"""Where most of it is kept; git ignores it."""


class NotAvailable(Exception):
    """Something that is needed is missing on this machine; the message names it in plain words."""


def install_once(folder: Path, stamp: str, install: Callable[[Path], None]) -> Path:
    """Have `install` fill the folder, once for each `stamp` (what it is made from); processes wait for each other.

    A half-made folder is never taken for a whole one: the stamp is written last.
    """
    CACHE.mkdir(exist_ok=True)
    # The whole path: several folders are called node_modules, and none of them needs to wait for another.
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
    """Tell the person at the terminal what takes its time; standard output stays free for what a command answers."""
    print(sentence, file=sys.stderr, flush=True)
