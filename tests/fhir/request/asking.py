"""Short ways to write a request and the query that is expected of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.fhir.interaction import Interaction
from gateway.fhir.query import Filter, Has, Hop, Key
from gateway.fhir.request import RequestError, parse_request
from gateway.fhir.search_parameters import SearchType

FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Ask:
    """A request below the FHIR base, as text."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    def parse(self, extra: Mapping[str, Mapping[str, SearchType]] | None = None) -> Interaction:
        path, _, query = self.target.partition("?")
        headers = {name.encode("latin-1"): value.encode("latin-1") for name, value in self.headers.items()}
        return parse_request(
            self.method, path.encode(), query.encode(), headers, self.body.encode(), extra_parameters=extra or {}
        )

    def refusal(self) -> RequestError:
        """The error that it ends with."""
        try:
            interaction = self.parse()
        except RequestError as error:
            return error
        raise AssertionError(f"read as {interaction}")


def get(target: str, **headers: str) -> Ask:
    return Ask("GET", target, {name.replace("_", "-"): value for name, value in headers.items()})


def post(target: str, body: str = "", **headers: str) -> Ask:
    return Ask("POST", target, FORM | {name.replace("_", "-"): value for name, value in headers.items()}, body)


def hop(text: str) -> Hop:
    name, _, modifier = text.partition(":")
    return Hop(name, modifier or None)


def key(*hops: str) -> Key:
    return Key(tuple(map(hop, hops)))


def where(name: str | Has, value: str) -> Filter:
    """A criterion with a plain key, or with the `_has` that is given."""
    return Filter(key(name) if isinstance(name, str) else name, value)
