"""A browser for the gateway's pages: it keeps cookies, submits forms, and stops where it would leave for an app."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from gateway.commands.selftesting.check_results import CheckError, SkippedCheck
from gateway.commands.selftesting.web import Answer, Web

_MOST_REDIRECTS = 10
_MOST_STEPS = 8


@dataclass(slots=True)
class Form:
    """A form that is posted. `fields` are its values as it is shown, `choices` the names of its radio buttons."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: set[str] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)

    def value(self, name: str) -> str | None:
        """The value of a field."""
        return dict(self.fields).get(name)


class _FormParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._is_open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_open = attributes.get("method", "get").lower() == "post"
            if self._is_open:
                self.forms.append(Form(attributes.get("action", "")))
        elif tag == "input" and self._is_open and attributes.get("name"):
            self._add_input(self.forms[-1], attributes)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_open = False

    def _add_input(self, form: Form, attributes: dict[str, str]) -> None:
        name, value, kind = attributes["name"], attributes.get("value", ""), attributes.get("type", "text")
        form.inputs.add(name)
        if kind == "radio":
            form.choices.add(name)
        if kind not in {"radio", "checkbox", "submit"} or "checked" in attributes:
            form.fields.append((name, value))


@dataclass(frozen=True, slots=True)
class Page:
    """What the browser shows, or `left_for`: the URL outside of the gateway to which it was sent."""

    url: str
    answer: Answer
    forms: tuple[Form, ...] = ()
    left_for: str | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """The query of the URL that the browser left for; empty if it did not leave."""
        return dict(parse_qsl(urlsplit(self.left_for or "").query, keep_blank_values=True))

    def form(self, ending: str) -> Form | None:
        """The form that is posted to a path with this ending."""
        return next((form for form in self.forms if urlsplit(form.action).path.endswith(ending)), None)


class Browser:
    """Opens pages of the gateway. What it is redirected to elsewhere is not requested."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._cookies: dict[str, str] = {}

    def open(self, url: str, fields: list[tuple[str, str]] | None = None) -> Page:
        """Open a URL, or post a form to it, and follow redirects. Raises `CheckError` if they do not end."""
        answer = self._request(url, fields)
        sent = f"{'GET' if fields is None else 'POST'} {url.partition('?')[0]}"
        for _ in range(_MOST_REDIRECTS):
            if answer.status not in {301, 302, 303, 307, 308}:
                parser = _FormParser()
                parser.feed(answer.text)
                return Page(url, answer, tuple(parser.forms))
            url = urljoin(url, answer.headers.get("location", ""))
            if not self._web.is_published(url):
                return Page(url, answer, left_for=url)
            answer = self._request(url, None)
        raise CheckError("the redirects do not end", sent=sent)

    def submit(self, page: Page, form: Form, **values: str) -> Page:
        """Fill in a form and post it."""
        kept = [(name, value) for name, value in form.fields if name not in values]
        return self.open(urljoin(page.url, form.action), [*kept, *values.items()])

    def walk(self, url: str, username: str, password: str) -> Page:
        """From an authorization request to the URL of the app, as a user who agrees to everything.

        Returns the page where it ends: the app's, or an error's. Raises `SkippedCheck` where users do not sign in by
        password, and `CheckError` if the password is not accepted.
        """
        page, has_signed_in = self.open(url), False
        for _ in range(_MOST_STEPS):
            login, patient = page.form("/login") or page.form("/sign-in"), page.form("/patient")
            encounter, consent = page.form("/encounter"), page.form("/consent")
            if page.left_for is not None:
                return page
            if login is not None:
                if "password" not in login.inputs:
                    raise SkippedCheck("users sign in at a provider here, and not by a password")
                if has_signed_in:
                    raise CheckError("the user who was added for the test cannot sign in", sent=_path(page))
                page, has_signed_in = self.submit(page, login, username=username, password=password), True
            elif patient is not None:
                raise CheckError("a patient is asked for, although the user is one", sent=_path(page))
            elif encounter is not None:
                page = self.submit(page, encounter, encounter="", decision="choose")
            elif consent is not None:
                uses = {name: "all" for name in sorted(consent.choices) if name.startswith("use-")}
                page = self.submit(page, consent, decision="allow", **uses)
            else:
                return page
        raise CheckError("the steps of the authorization do not end", sent=_path(page))

    def _request(self, url: str, fields: list[tuple[str, str]] | None) -> Answer:
        headers = {"accept": "text/html"}
        if self._cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        method = "GET" if fields is None else "POST"
        answer = self._web.request(method, url, headers=headers, form=None if fields is None else urlencode(fields))
        for line in answer.headers.get_list("set-cookie"):
            for name, cookie in SimpleCookie(line).items():
                if cookie.value and cookie["max-age"] != "0":
                    self._cookies[name] = cookie.value
                else:
                    self._cookies.pop(name, None)
        return answer


def _path(page: Page) -> str:
    return page.answer.sent.partition("?")[0]
