"""Two real OpenID providers as processes, and logins on their pages."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.install_once import CACHE, install_once, say
from scripts.node import find_node
from tests.identity_providers.browser_login import CLIENT_ID, CLIENT_SECRET
from tests.servers.ports import free_port
from tests.servers.process import Server, start_process, with_leash
from tests.smart_server.person_in_browser import Page, Person

HERE = Path(__file__).parent
PASSWORD = "correct horse"
_PLAIN_ID, _PLAIN_SECRET = "smart-gateway", "a-secret-of-letters.and_hyphens~1"
# canaille issues equal tokens to one user within one second, and then fails: each test has its own user.
_PEOPLE = {
    "doctor": ("Dr Dora Demo", "Practitioner/practitioner-1"),
    "patient": ("Pat A", "Patient/pat-a"),
    "clerk": ("Carl Clerk", None),
    "newcomer": ("Nina New", None),
    "nurse": ("Nora Nurse", "Practitioner/practitioner-1"),
    "porter": ("Paul Porter", None),
}


@dataclass(frozen=True)
class RealProvider:
    """One provider: how to start it, its settings in the gateway, and the fields of its consent page."""

    name: str
    start: Callable[[str], Server]
    settings: dict[str, Any] = field(default_factory=dict)
    accept: dict[str, str] = field(default_factory=dict)
    decline: dict[str, str] | None = None
    knows_passwords: bool = True
    fills_in_hints: bool = True
    logs_out: bool = True


def start_oidc_provider(redirect_uri: str) -> Server:
    """`oidc-provider` with its own pages. Raises `NotAvailable` without Node and npm."""
    node = find_node()
    node.install(HERE, "oidc-provider")
    port = free_port()
    command = [node.node, str(HERE / "server.mjs"), str(port), CLIENT_ID, CLIENT_SECRET, redirect_uri]
    return _launched("oidc-provider", command, port)


def start_canaille(redirect_uri: str) -> Server:
    """`canaille`, in its own environment, which is rebuilt when its lock file changes."""
    folder = install_once(CACHE / "canaille", (HERE / "canaille.txt").read_text(), _install_canaille)
    users = [
        {"user_name": user, "formatted_name": name, "family_name": name, "emails": [f"{user}@example.org"],
         "password": PASSWORD, **({"employee_number": own} if own else {})}
        for user, (name, own) in _PEOPLE.items()
    ]  # fmt: skip
    port = free_port()
    python, program = str(folder / "bin/python"), str(HERE / "canaille_server.py")
    files = Path(tempfile.mkdtemp(prefix="canaille-"))
    arguments = [str(port), _PLAIN_ID, _PLAIN_SECRET, redirect_uri, json.dumps(users), str(files / "database")]
    return _launched("canaille", with_leash([python, program, *arguments]), port, files)


def _install_canaille(folder: Path) -> None:
    say("Installing canaille into .cache (once, half a minute) ...")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*pip, "-r", str(HERE / "canaille.txt")], check=True)


def _launched(name: str, command: list[str], port: int, folder: Path | None = None) -> Server:
    ready = "/.well-known/openid-configuration"
    return start_process(name, command, f"http://127.0.0.1:{port}", ready_path=ready, folder=folder)


REAL_PROVIDERS = (
    RealProvider("oidc-provider", start_oidc_provider, knows_passwords=False),
    RealProvider(
        "canaille",
        start_canaille,
        # It does not decode HTTP Basic credentials, so that the secret must not need encoding.
        {"client_secret": _PLAIN_SECRET, "client_id": _PLAIN_ID, "fhir_user_claim": "website"},
        {"answer": "accept"},
        {"answer": "deny"},
        fills_in_hints=False,
        logs_out=False,
    ),
)


async def log_in_at_provider(
    browser: Person, url: str, kind: RealProvider, username: str, *, password: str = PASSWORD, consent: bool = True
) -> tuple[list[Page], Page]:
    """Fill in the pages of the provider until it redirects: its pages, and the last page.

    The same page twice ends it there: the provider wants something else.
    """
    pages: list[Page] = []
    page = await browser.open(url)
    while page.left_for is None and len(pages) < 8:
        pages.append(page)
        names = {name for name, _ in page.form().fields}
        credentials = {name: value for name, value in (("login", username), ("password", password)) if name in names}
        if credentials:
            page = await browser.submit(page, **credentials)
        elif consent:
            page = await browser.submit(page, **kind.accept)
        elif kind.decline is not None:
            page = await browser.submit(page, **kind.decline)
        else:
            page = await browser.open(f"{page.url}/abort")
    return pages, page
