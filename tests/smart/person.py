"""Somebody at a browser: follows links, fills in forms, and stops where the browser would leave for the app."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2


@dataclass
class Form:
    """A form of a page: where it goes, how, and its fields with what is filled in beforehand."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)

    def value(self, name: str) -> str | None:
        """What a field is filled in with."""
        return next((value for key, value in self.fields if key == name), None)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.title = ""
        self.text: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self._in_title = tag == "title"
        if tag == "form":
            self.forms.append(Form(told.get("action", ""), told.get("method", "get").lower()))
        if tag == "input" and self.forms and "name" in told:
            form, kind = self.forms[-1], told.get("type", "text")
            if kind in {"radio", "checkbox"}:
                form.choices.setdefault(told["name"], []).append(told.get("value", "on"))
                if "checked" in told:
                    form.fields.append((told["name"], told.get("value", "on")))
            elif kind != "submit":
                form.fields.append((told["name"], told.get("value", "")))

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
            self._in_title = False
        self.text.append(data)


@dataclass
class Page:
    """What the browser shows, or where it was sent away to."""

    url: str
    status: int
    headers: httpx2.Headers
    html: str
    title: str
    text: str
    forms: list[Form]
    left_for: str | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """The query of the address that the browser left for."""
        assert self.left_for is not None, f"still at {self.url}: {self.title} {self.text[:500]}"
        return dict(parse_qsl(urlsplit(self.left_for).query, keep_blank_values=True))

    def form(self, ending: str = "") -> Form:
        """The POST form whose address ends so."""
        return next(one for one in self.forms if one.method == "post" and one.action.split("?")[0].endswith(ending))


class Person:
    """One browser with its cookies, which follows redirects within `origin` and no further."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.client = httpx2.AsyncClient(timeout=30, trust_env=False, follow_redirects=False)

    async def go(self, url: str, *, data: list[tuple[str, str]] | None = None, **options: object) -> Page:
        """Open an address, or post a form to it, and follow."""
        method = "GET" if data is None else "POST"
        response = await self._ask(method, url, data)
        for _ in range(10):
            if not response.is_redirect:
                return _page(url, response)
            assert response.status_code in {302, 303}, "a form must never be sent again (edge case 22)"
            url = urljoin(url, response.headers["location"])
            if not url.startswith(self.origin + "/"):
                return Page(url, response.status_code, response.headers, "", "", "", [], left_for=url)
            response = await self._ask("GET", url, None)
        raise AssertionError("the redirects do not end")

    async def _ask(self, method: str, url: str, data: list[tuple[str, str]] | None) -> httpx2.Response:
        if data is None:
            return await self.client.request(method, url)
        content = urlencode(data)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return await self.client.request(method, url, content=content, headers=headers)

    async def send(self, page: Page, ending: str = "", /, **values: str | list[str]) -> Page:
        """Fill in the form whose address ends so, and send it."""
        form = page.form(ending)
        pairs = [(name, value) for name, value in form.fields if name not in values]
        for name, value in values.items():
            pairs += [(name, one) for one in ([value] if isinstance(value, str) else value)]
        return await self.go(urljoin(page.url, form.action), data=pairs)

    async def sign_in(self, page: Page, username: str = "doctor", password: str = "demo") -> Page:
        """Fill in the sign-in page."""
        return await self.send(page, username=username, password=password)

    async def choose(self, page: Page, patient: str) -> Page:
        """Choose a patient."""
        return await self.send(page, "/patient", patient=patient, decision="choose")

    async def agree(self, page: Page, **uses: str | list[str]) -> Page:
        """Agree to everything, but for what `uses` says otherwise."""
        choices = page.form("/consent").choices
        everything = {name: "all" for name in choices if name.startswith("use-")}
        return await self.send(page, "/consent", decision="allow", **{**everything, **uses})

    async def aclose(self) -> None:
        await self.client.aclose()


def _page(url: str, response: httpx2.Response) -> Page:
    parser = _Forms()
    parser.feed(response.text)
    text = " ".join(" ".join(parser.text).split())
    return Page(url, response.status_code, response.headers, response.text, parser.title, text, parser.forms)
