"""Signing in through Keycloak's own pages as a browser does, by posting what their forms ask for."""

from __future__ import annotations

import contextlib
import http.cookiejar
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx2

_LONGEST_WAY = 15


class NotSignedIn(Exception):
    """The way did not end at a callback; the message says where it ended, and why as far as that page tells."""


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    """A client with an empty cookie jar that, as browsers do on loopback, sends `Secure` cookies over http as well."""
    policy = http.cookiejar.DefaultCookiePolicy(secure_protocols=("https", "http"))
    async with httpx2.AsyncClient(cookies=http.cookiejar.CookieJar(policy), trust_env=False, timeout=30) as client:
        yield client


async def sign_in(client: httpx2.AsyncClient, url: str, username: str, password: str, *, consent: bool = True) -> str:
    """The callback URL that signing in leads to, not visited yet. `client` is a `browser`, and keeps the session.

    `url` is Keycloak's authorization endpoint, or a page that leads to it by redirects. The callback is the first
    redirect out of Keycloak: at once where the session still holds, or where Keycloak refuses the request by a
    redirect. Raises `NotSignedIn` for a wrong password, for an error page, and for any page that asks for more.
    """
    answer = await client.get(url)
    asked: set[str] = set()
    for _ in range(_LONGEST_WAY):
        here = str(answer.url)
        if answer.is_redirect:
            there = urljoin(here, answer.headers["location"])
            if _is_keycloaks(here) and not _is_keycloaks(there, beside=here):
                return there
            answer = await client.get(there)
            continue
        page = _Page(answer.text)
        if page.action is None or page.kind in asked:
            raise NotSignedIn(f"{urlsplit(here).path} answered {answer.status_code}: {page.message or page.kind}")
        asked.add(page.kind)
        fields = page.filled(username, password, consent=consent)
        if fields is None:
            raise NotSignedIn(f"Keycloak shows the page {page.kind!r}, which asks for more than a name and a password")
        answer = await client.post(urljoin(here, page.action), data=fields)
    raise NotSignedIn(f"the way through {urlsplit(url).path} has no end")


def _is_keycloaks(url: str, beside: str | None = None) -> bool:
    """Whether the URL is a realm's; `beside` is one that is, and may share its origin."""
    parts = urlsplit(url)
    same = beside is None or urlsplit(beside)[:2] == parts[:2]
    return same and parts.path.startswith("/realms/")


@dataclass
class _Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Page(HTMLParser):
    """A page of Keycloak's default theme: which one it is, its first form, and what it complains about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.kind = ""
        self._form: _Form | None = None
        self._complaining = False
        self._complaint: list[str] = []
        self.feed(text)

    @property
    def action(self) -> str | None:
        """Where its form goes; it has one session code, so it serves once."""
        return None if self._form is None else self._form.action

    @property
    def message(self) -> str:
        """Its complaint in words; empty where it has none."""
        return " ".join(" ".join(self._complaint).split())

    def filled(self, username: str, password: str, *, consent: bool) -> dict[str, str] | None:
        """What to post. None where it is neither the page to sign in nor the one that asks for consent."""
        asked = {} if self._form is None else self._form.fields
        if "password" in asked:
            # Who signs in again is asked for the password alone.
            given = {"username": username, "password": password}
            return {name: given.get(name, value) for name, value in asked.items()}
        if "accept" in asked:
            kept = {name: value for name, value in asked.items() if name not in {"accept", "cancel"}}
            return {**kept, "accept" if consent else "cancel": ""}
        return None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        match tag:
            case "body":
                self.kind = given.get("data-page-id", "")
            case "form" if self._form is None:
                self._form = _Form(given.get("action", ""))
            case "input" | "button" if self._form is not None and "name" in given:
                self._form.fields[given["name"]] = given.get("value", "")
        name = given.get("id", "")
        self._complaining = self._complaining or name.startswith("input-error") or name == "kc-error-message"

    def handle_endtag(self, tag: str) -> None:
        self._complaining = self._complaining and tag not in {"div", "p"}

    def handle_data(self, data: str) -> None:
        if self._complaining:
            self._complaint.append(data)
