"""The server's `next` links: each form of them is followed, and one that cannot be is never a shorter answer."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.policy.reasons import Reason
from tests.proxy import scripted_server as scripted_module
from tests.proxy.leaked_marks import ids_in, link_of, refusal_reason
from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, ScriptedServer, bundle, make_resource, scripted_server
from tests.servers.people import Resource

ALIAS, DECLARED = "https://clinic.example/services/r4", "https://declared.example/r4"
PANEL: Any = {
    "practitioner_reach": "panel",
    "panel": [{"resource_type": "CareTeam", "parameter": "participant", "patient_element": "subject"}],
}
PRACTITIONER = {"fhirUser": "Practitioner/p", "patient": None}

FORMS = {
    "absolute": "{base}/{path}?page=2",
    "relative": "{name}?page=2",
    "a query alone": "?page=2",
    "with a session id": "{base}/{path};jsessionid=1A2B?page=2",
    "with a fragment": "{base}/{path}?page=2#entries",
    "with a space": "{base}/{path}?page=2&code:text=blood sugar",
    "with quotation marks": '{base}/{path}?page=2&x="a"',
    "with a letter beyond ASCII": "{base}/{path}?page=2&x=Größe",
    "under a configured alias": ALIAS + "/{path}?page=2",
    "under the base of the statement": DECLARED + "/{path}?page=2",
    "under another name of the host": "HTTP://LOCALHOST:80/fhir/{path}?page=2",
}
UNUSABLE = {
    "to another host": "http://evil.example/fhir/{path}?page=2",
    "to a path beside the base": "{root}/admin/{path}?page=2",
    "out of the base": "{base}/../admin?page=2",
    "to an operation on another patient": "{base}/Patient/pat-b/$everything?page=2",
    "to nothing": "",
    "to no URL": "urn:uuid:4b9c1f0e-0000-4000-8000-000000000000",
}
KINDS = ("search", "history", "hidden first page", "panel")


def observation(name: str) -> Resource:
    return make_resource("Observation", name, status="final", code={}, subject={"reference": "Patient/pat-a"})


def device(patient: str) -> Resource:
    return make_resource("Device", patient, patient={"reference": f"Patient/pat-{patient}"})


def care_team(patient: str) -> Resource:
    member = [{"member": {"reference": "Practitioner/p"}}]
    return make_resource("CareTeam", patient, subject={"reference": f"Patient/{patient}"}, participant=member)


@dataclass
class Site:
    """A server with two pages, whose first one has the link `form` to the second one, and a gateway before it."""

    form: str
    base: str = ""

    def respond(self, path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        path = path.partition(";")[0]
        if path in {"Patient/pat-a", "Patient/pat-b"}:
            return 200, make_resource("Patient", path.removeprefix("Patient/")), {}
        if path == "Observation/one":
            return 200, observation("one"), {}
        pages = {
            "Observation": (observation("one"), observation("two")),
            "Device": (device("b"), device("a")),
            "Observation/one/_history": (observation("one"), observation("one")),
            "CareTeam": (care_team("pat-b"), care_team("pat-a")),
        }
        if path not in pages:
            return ABSENT
        first, second = pages[path]
        kind = "history" if path.endswith("_history") else "searchset"
        if "page=2" in query:
            return 200, bundle(second, kind=kind), {}
        place = {"base": self.base, "root": self.base.removesuffix("/fhir"), "path": path}
        link = self.form.format(**place, name=path.rpartition("/")[2])
        return 200, bundle(first, links={"next": link}, kind=kind), {}


@asynccontextmanager
async def opened(site: Site, folder: Path) -> AsyncIterator[tuple[RunningGateway, ScriptedServer]]:
    async with scripted_server(site.respond) as server:
        site.base = server.base_url
        settings: Any = {"upstream": {"aliases": [ALIAS]}, "compartments": PANEL}
        async with running_gateway(server.base_url, folder, **settings) as gateway:
            yield gateway, server


@pytest.fixture(autouse=True)
def _statement_with_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    statement = {"resourceType": "CapabilityStatement", "rest": [], "implementation": {"url": DECLARED}}
    monkeypatch.setattr(scripted_module, "STATEMENT", (200, statement, {}))


async def ask(gateway: RunningGateway, kind: str) -> list[httpx2.Response]:
    """The pages of one question, as far as they lead."""
    await gateway.request("/metadata", None)
    path, scope, claims = {
        "search": ("/Observation", "patient/*.rs", {}),
        "history": ("/Observation/one/_history", "patient/*.rs", {}),
        "hidden first page": ("/Device", "patient/*.rs", {}),
        "panel": ("/Patient/pat-a", "user/*.rs", PRACTITIONER),
    }[kind]
    responses = [await gateway.request(path, scope, claims=claims)]
    while responses[-1].status_code == 200 and (following := link_of(responses[-1], "next")) is not None:
        following = following.removeprefix(gateway.base_url)
        responses.append(await gateway.request(following, scope, claims=claims))
    return responses


FOUND = {
    "search": {"Observation/one", "Observation/two"},
    "history": {"Observation/one"},
    "hidden first page": {"Device/a"},
    "panel": set(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_the_second_page_is_reached_by_every_form_of_link(tmp_path: Path, form: str, kind: str) -> None:
    async with opened(Site(form), tmp_path) as (gateway, server):
        pages = await ask(gateway, kind)
        assert [page.status_code for page in pages] == [200] * len(pages)
        assert set().union(*(ids_in(page) for page in pages if "entry" in page.json())) == FOUND[kind]
        assert any("page=2" in request for request in server.requests)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", UNUSABLE.values(), ids=UNUSABLE)
async def test_a_link_that_cannot_be_followed_is_an_error_and_never_a_shorter_answer(
    tmp_path: Path, form: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(Site(form), tmp_path) as (gateway, server):
        with caplog.at_level(logging.WARNING, logger="gateway.proxy.page_links"):
            refused = (await ask(gateway, kind))[-1]
        assert (refused.status_code, refusal_reason(refused)) == (502, "upstream_link_unusable")
        assert gateway.telemetry.records[-1].reason is Reason.UPSTREAM_LINK_UNUSABLE
        assert not any("page=2" in request for request in server.requests)
    (logged,) = [record for record in caplog.records if record.name == "gateway.proxy.page_links"]
    assert logged.msg == "a next link of the FHIR server cannot be followed"
    assert "pat-b" not in str(vars(logged))


async def test_another_link_that_cannot_be_followed_is_left_out_alone(tmp_path: Path) -> None:
    def script(path: str, *_: Any) -> ScriptedResponse:
        links = {
            "first": "http://evil.example/fhir/Observation",
            "last": "?page=9",
            "Next": "?page=2",
            "alternate": "?x=1",
        }
        return 200, bundle(observation("one"), links=links), {}

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        page = await gateway.request("/Observation", "system/*.rs")
        assert {link["relation"] for link in page.json()["link"]} == {"self", "last", "next"}


async def test_a_second_next_is_followed_where_the_first_one_cannot_be(tmp_path: Path) -> None:
    def script(path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        page = bundle(observation("two" if "page=2" in query else "one"))
        if not query.endswith("page=2"):
            page["link"] = [{"relation": "next", "url": url} for url in ("urn:x", "?page=2")]
        return 200, page, {}

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        first = await gateway.request("/Observation")
        second = await gateway.request((link_of(first, "next") or "").removeprefix(gateway.base_url))
        assert ids_in(second) == {"Observation/two"}


REFUSED_PAGES = {
    "by the client": ("search", 400, 502, "upstream_link_unusable"),
    "by the client, in a history": ("history", 422, 502, "upstream_link_unusable"),
    "by the client, and is gone": ("search", 410, 404, "page_unknown"),
    "to fill up another": ("hidden first page", 400, 502, "upstream_link_unusable"),
    "to fill up another, and is gone": ("hidden first page", 410, 502, "upstream_link_unusable"),
}


@pytest.mark.parametrize(("kind", "status", "told", "reason"), REFUSED_PAGES.values(), ids=REFUSED_PAGES)
async def test_it_is_no_mistake_of_the_client_that_the_server_refuses_its_own_page_when_it_is_asked_for(
    tmp_path: Path, kind: str, status: int, told: int, reason: str
) -> None:
    site = Site("?page=2")

    def respond(path: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        return (status, {}, {}) if "page=2" in query else site.respond(path, query, headers)

    async with scripted_server(respond) as server, running_gateway(server.base_url, tmp_path) as gateway:
        refused = (await ask(gateway, kind))[-1]
        assert (refused.status_code, refusal_reason(refused)) == (told, reason)
