"""Chromium, the browser that the pages and the browser's library are tried in."""

import shutil

from tests.servers.process import NotAvailable

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str:
    """Its command. Raises `NotAvailable` in plain words."""
    for name in _NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    raise NotAvailable("Chromium is not installed on this machine (`apt-get install chromium` brings it).")
