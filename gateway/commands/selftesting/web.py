"""HTTP requests of the self-test: sent byte for byte, bounded in time and size, to the place where the gateway is."""

import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2

_MAX_BODY = 8 * 1024 * 1024
_LONGEST_WAIT_SECONDS = 30.0
_TRIES = 3
_PAUSE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read whole. `sent` says which request it is for, without credentials."""

    sent: str
    status: int
    headers: httpx2.Headers
    content: bytes

    @property
    def text(self) -> str:
        """The body as text, whatever its bytes are."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None

    def member(self, name: str) -> Any:
        """A member of the JSON object in the body; None if there is none."""
        body = self.json()
        return body.get(name) if isinstance(body, dict) else None


class Web:
    """Sends requests to the gateway, wherever it is reached."""

    def __init__(
        self, public: str, address: str | None, authorities: ssl.SSLContext, seconds: float, patience: float
    ) -> None:
        """`address` is where this machine reaches what is published below `public`, if not there.

        `seconds` bounds each request as a whole, `patience` how long `until` asks. Proxies of the environment are not
        used.
        """
        self._published = {_origin(public)}
        self._address = _origin(address) if address is not None else None
        self._seconds = seconds
        self._patience = patience
        self._http = httpx2.Client(trust_env=False, verify=authorities, timeout=seconds, follow_redirects=False)

    def add_published(self, url: str) -> None:
        """Take this URL for one of the gateway as well: that of an issuer with a host of its own."""
        self._published.add(_origin(url))

    def is_published(self, url: str) -> bool:
        """Whether a URL is one of the gateway."""
        return _origin(url) in self._published

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | str | None = None,
        body: object = None,
    ) -> Answer:
        """One request; a 429 is followed by a wait of at most half a minute and another try.

        `url` is not normalized: a path with dots in it leaves as it stands. `body` is sent as JSON unless `headers`
        have another content type. Raises `httpx2.HTTPError` where no complete response comes in time.
        """
        fields = {"accept": "application/json", **{name.lower(): value for name, value in (headers or {}).items()}}
        content = None
        if form is not None:
            content = (form if isinstance(form, str) else urlencode(form)).encode()
            fields.setdefault("content-type", "application/x-www-form-urlencoded")
        elif body is not None:
            content = json.dumps(body).encode()
            fields.setdefault("content-type", "application/json")
        for _ in range(_TRIES - 1):
            answer = self._send(method, url, fields, content)
            if answer.status != 429:
                return answer
            time.sleep(min(_LONGEST_WAIT_SECONDS, _seconds_to_wait(answer)))
        return self._send(method, url, fields, content)

    def until(self, ask: Callable[[], Answer], holds: Callable[[Answer], bool]) -> Answer:
        """Ask again for a while, because other processes of the gateway know of a change later. The last answer."""
        ends_at = time.monotonic() + self._patience
        while not holds(answer := ask()) and time.monotonic() < ends_at:
            time.sleep(_PAUSE_SECONDS)
        return answer

    def _send(self, method: str, url: str, fields: dict[str, str], content: bytes | None) -> Answer:
        origin = _origin(url)
        target = url[len(origin) :]
        if not target.startswith("/"):
            target = f"/{target}"
        if self._address is not None and origin in self._published:
            fields = {"host": urlsplit(origin).netloc, **fields}
            origin = self._address
        ends_at = time.monotonic() + self._seconds
        request = self._http.build_request(method, f"{origin}/", headers=fields, content=content)
        request.extensions["target"] = target.encode()
        response = self._http.send(request, stream=True)
        try:
            read = bytearray()
            for piece in response.iter_bytes():
                read += piece
                if time.monotonic() > ends_at or len(read) > _MAX_BODY:
                    raise httpx2.ReadTimeout("the response is too slow or too long", request=request)
        finally:
            response.close()
            # Cookies are those of a browser, of which there are several.
            self._http.cookies.clear()
        return Answer(f"{method} {url}", response.status_code, response.headers, bytes(read))


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    for end in "/?#":
        rest = rest.partition(end)[0]
    return f"{scheme}://{rest}"


def _seconds_to_wait(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 1.0
