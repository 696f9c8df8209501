"""Signing in through Keycloak's own pages as a browser does, by posting what their forms ask for."""

from __future__ import annotations

import contextlib
import http.cookiejar
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx2

_MAX_STEPS = 15


class SignInError(Exception):
    """Signing in did not lead to a callback. The message says at which page it ended, and what the page says."""


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
    redirect. Raises `SignInError` for a wrong password, for an error page, and for any page that asks for more.
    """
    response = await client.get(url)
    seen_pages: set[str] = set()
    for _ in range(_MAX_STEPS):
        here = str(response.url)
        if response.is_redirect:
            there = urljoin(here, response.headers["location"])
            if _is_keycloak_url(here) and not _is_keycloak_url(there, beside=here):
                return there
            response = await client.get(there)
            continue
        page = _Page(response.text)
        if page.action is None or page.kind in seen_pages:
            raise SignInError(f"{urlsplit(here).path} answered {response.status_code}: {page.message or page.kind}")
        seen_pages.add(page.kind)
        fields = page.filled_form(username, password, consent=consent)
        if fields is None:
            raise SignInError(f"Keycloak shows the page {page.kind!r}, which asks for more than a name and a password")
        response = await client.post(urljoin(here, page.action), data=fields)
    raise SignInError(f"the way through {urlsplit(url).path} has no end")


def _is_keycloak_url(url: str, beside: str | None = None) -> bool:
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
        self._in_error_message = False
        self._error_texts: list[str] = []
        self.feed(text)

    @property
    def action(self) -> str | None:
        """The action of its form, which can be posted once, because it has a session code."""
        return None if self._form is None else self._form.action

    @property
    def message(self) -> str:
        """The error message on the page; empty if there is none."""
        return " ".join(" ".join(self._error_texts).split())

    def filled_form(self, username: str, password: str, *, consent: bool) -> dict[str, str] | None:
        """The fields to post; None unless it is the login page or the consent page."""
        fields = {} if self._form is None else self._form.fields
        if "password" in fields:
            # Somebody who signs in again is asked for the password only.
            attributes = {"username": username, "password": password}
            return {name: attributes.get(name, value) for name, value in fields.items()}
        if "accept" in fields:
            kept = {name: value for name, value in fields.items() if name not in {"accept", "cancel"}}
            return {**kept, "accept" if consent else "cancel": ""}
        return None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        match tag:
            case "body":
                self.kind = attributes.get("data-page-id", "")
            case "form" if self._form is None:
                self._form = _Form(attributes.get("action", ""))
            case "input" | "button" if self._form is not None and "name" in attributes:
                self._form.fields[attributes["name"]] = attributes.get("value", "")
        name = attributes.get("id", "")
        self._in_error_message = self._in_error_message or name.startswith("input-error") or name == "kc-error-message"

    def handle_endtag(self, tag: str) -> None:
        self._in_error_message = self._in_error_message and tag not in {"div", "p"}

    def handle_data(self, data: str) -> None:
        if self._in_error_message:
            self._error_texts.append(data)
