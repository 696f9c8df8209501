"""Short notation for FHIR requests and for the parts of a `Query`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.fhir.request.interaction import Interaction
from gateway.fhir.request.parse_request import RequestError, parse_request
from gateway.fhir.search.query import ChainLink, ReverseChain, SearchCriterion, SearchKey
from gateway.fhir.search_parameters import SearchType

FORM_HEADERS = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class FhirRequest:
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

    def parse_error(self) -> RequestError:
        """The error that `parse` raises."""
        try:
            interaction = self.parse()
        except RequestError as error:
            return error
        raise AssertionError(f"parsed as {interaction}")


def get(target: str, **headers: str) -> FhirRequest:
    return FhirRequest("GET", target, {name.replace("_", "-"): value for name, value in headers.items()})


def post(target: str, body: str = "", **headers: str) -> FhirRequest:
    return FhirRequest(
        "POST", target, FORM_HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}, body
    )


def chain_link(text: str) -> ChainLink:
    name, _, modifier = text.partition(":")
    return ChainLink(name, modifier or None)


def search_key(*links: str) -> SearchKey:
    return SearchKey(tuple(map(chain_link, links)))


def criterion(name: str | ReverseChain, value: str) -> SearchCriterion:
    """A criterion with the key of that name, or with the given `_has`."""
    return SearchCriterion(search_key(name) if isinstance(name, str) else name, value)
