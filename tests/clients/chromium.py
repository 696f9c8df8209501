"""The command of Chromium, in which the pages and the JavaScript client are tested."""

import shutil

from tests.servers.process import NotAvailable

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str:
    """The command of Chromium. Raises `NotAvailable`."""
    for name in _NAMES:
        command = shutil.which(name)
        if command is not None:
            return command
    raise NotAvailable("Chromium is not installed on this machine (`apt-get install chromium` brings it).")
