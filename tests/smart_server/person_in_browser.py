"""A user with a browser, which follows links, submits forms, and stops where it would leave for the app."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2


@dataclass
class Form:
    """A form of a page. `fields` are the values that it has when the page is shown."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)

    def value(self, name: str) -> str | None:
        """The first value of a field."""
        return next((value for key, value in self.fields if key == name), None)


class _PageParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.title = ""
        self.text: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._in_title = tag == "title"
        if tag == "form":
            self.forms.append(Form(attributes.get("action", ""), attributes.get("method", "get").lower()))
        if tag == "input" and self.forms and "name" in attributes:
            form, kind = self.forms[-1], attributes.get("type", "text")
            if kind in {"radio", "checkbox"}:
                form.choices.setdefault(attributes["name"], []).append(attributes.get("value", "on"))
                if "checked" in attributes:
                    form.fields.append((attributes["name"], attributes.get("value", "on")))
            elif kind != "submit":
                form.fields.append((attributes["name"], attributes.get("value", "")))

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
            self._in_title = False
        self.text.append(data)


@dataclass
class Page:
    """The page in the browser, or the URL outside the gateway that it was redirected to (`left_for`)."""

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
        """The query of the URL that the browser left for."""
        assert self.left_for is not None, f"still at {self.url}: {self.title} {self.text[:500]}"
        return dict(parse_qsl(urlsplit(self.left_for).query, keep_blank_values=True))

    def form(self, ending: str = "") -> Form:
        """The POST form whose action has this ending."""
        return next(form for form in self.forms if form.method == "post" and form.action.split("?")[0].endswith(ending))


class Person:
    """A browser with its own cookies. It follows redirects only within `origin`."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.client = httpx2.AsyncClient(timeout=30, trust_env=False, follow_redirects=False)

    async def open(self, url: str, *, data: list[tuple[str, str]] | None = None, **options: object) -> Page:
        """Open a URL, or post a form to it, and follow redirects."""
        method = "GET" if data is None else "POST"
        response = await self._send_request(method, url, data)
        for _ in range(10):
            if not response.is_redirect:
                return _page(url, response)
            assert response.status_code in {302, 303}, "a form must never be sent again (edge case 22)"
            url = urljoin(url, response.headers["location"])
            if not url.startswith(self.origin + "/"):
                return Page(url, response.status_code, response.headers, "", "", "", [], left_for=url)
            response = await self._send_request("GET", url, None)
        raise AssertionError("the redirects do not end")

    async def _send_request(self, method: str, url: str, data: list[tuple[str, str]] | None) -> httpx2.Response:
        if data is None:
            return await self.client.request(method, url)
        content = urlencode(data)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return await self.client.request(method, url, content=content, headers=headers)

    async def submit(self, page: Page, ending: str = "", /, **values: str | list[str]) -> Page:
        """Fill in and submit the form whose action has this ending."""
        form = page.form(ending)
        pairs = [(name, value) for name, value in form.fields if name not in values]
        for name, value in values.items():
            pairs += [(name, item) for item in ([value] if isinstance(value, str) else value)]
        return await self.open(urljoin(page.url, form.action), data=pairs)

    async def sign_in(self, page: Page, username: str = "doctor", password: str = "demo") -> Page:
        """Submit the login form."""
        return await self.submit(page, username=username, password=password)

    async def choose_patient(self, page: Page, patient: str) -> Page:
        """Submit the patient picker."""
        return await self.submit(page, "/patient", patient=patient, decision="choose")

    async def agree(self, page: Page, **uses: str | list[str]) -> Page:
        """Agree to all rows, except as `uses` says."""
        choices = page.form("/consent").choices
        everything = {name: "all" for name in choices if name.startswith("use-")}
        return await self.submit(page, "/consent", decision="allow", **{**everything, **uses})

    async def aclose(self) -> None:
        await self.client.aclose()


def _page(url: str, response: httpx2.Response) -> Page:
    parser = _PageParser()
    parser.feed(response.text)
    text = " ".join(" ".join(parser.text).split())
    return Page(url, response.status_code, response.headers, response.text, parser.title, text, parser.forms)
