"""However the FHIR server writes its JSON, the same records leave, and no other, with the text of their numbers."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.leaked_marks import find_leaks, ids_in
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.people import B_MARKER, Resource

_EXACT, _EXPONENT = "1.00", "1E+2"
_DIV = f"<div>Größe & {chr(0x1F600)} \u2028</div>"


def _escape_html(text: str) -> str:
    return text.replace("<", "\\u003c").replace(">", "\\u003E").replace("&", "\\u0026")


STYLES: dict[str, Callable[[Any], str]] = {
    "compact": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
    "pretty": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
    "with tabs and both line ends": lambda value: json.dumps(value, indent="\t").replace("\n", "\r\n") + "\r\n",
    "in ASCII without the letters of HTML": lambda value: _escape_html(json.dumps(value, separators=(",", ":"))) + "\n",
    "with every slash escaped": lambda value: json.dumps(value, separators=(",", ":")).replace("/", "\\/"),
}


def observation(name: str, patient: str, base: str, **members: Any) -> Resource:
    text = {"status": "generated", "div": _DIV}
    return make_resource("Observation", name, text=text, subject={"reference": f"{base}Patient/{patient}"}, **members)


def resources_in(body: Resource) -> list[Resource]:
    """The resources of a Bundle, or the resource itself."""
    return [entry["resource"] for entry in body["entry"]] if body["resourceType"] == "Bundle" else [body]


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("path", ["/Observation", "/Observation/own"])
async def test_only_own_records_leave_in_whatever_style_they_came(
    tmp_path: Path, path: str, style: Callable[[Any], str]
) -> None:
    def script(asked: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        base = f"{server.base_url}/"
        own = observation("own", "pat-a", base, valueQuantity={"value": "exact"}, referenceRange=["exponent"])
        nested = {"note": [{"resource": make_resource("Patient", "pat-b", name=[{"family": B_MARKER}])}]}
        hidden = observation("of-b", "pat-b", base, note=[{"text": B_MARKER}])
        page = bundle(hidden, own, observation("nested", "pat-a", "", **nested), hidden)
        text = style({"Observation": page, "Observation/own": own}.get(asked, ABSENT[1]))
        text = text.replace('"exact"', _EXACT).replace('"exponent"', _EXPONENT)
        return 200, text.encode(), {}

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request(path)
        assert (response.status_code, find_leaks(response)) == (200, [])
        (resource,) = resources_in(response.json())
        assert (resource["id"], resource["text"]["div"]) == ("own", _DIV)
        assert f'"value":{_EXACT}' in response.text.replace(" ", "")
        assert f'"referenceRange":[{_EXPONENT}]' in response.text.replace(" ", "")


@pytest.mark.parametrize("spelling", ["resourceTyp\\u0065", "r\\u0065sourceType", "res\\u006FurceType"])
@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
async def test_no_style_hides_a_resource_under_a_name_with_an_escape(
    tmp_path: Path, style: Callable[[Any], str], spelling: str
) -> None:
    def script(asked: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        nested = make_resource("Patient", "pat-b", name=[{"family": B_MARKER}])
        attack = observation("nested", "pat-a", "", extension=[{"url": "urn:x", "valueReference": {"x": nested}}])
        text = style(bundle(observation("own", "pat-a", ""), attack) if asked == "Observation" else attack)
        before, name, after = text.rpartition("resourceType")
        return 200, f"{before}{spelling if name else ''}{after}".encode(), {}

    async with scripted_server(script) as server, running_gateway(server.base_url, tmp_path) as gateway:
        response = await gateway.request("/Observation")
        assert (response.status_code, find_leaks(response), ids_in(response)) == (200, [], {"Observation/own"})
        response = await gateway.request("/Observation/nested")
        assert (response.status_code, find_leaks(response)) == (404, [])


@pytest.mark.parametrize("path", ["/Observation", "/Observation/own"])
@pytest.mark.parametrize("alias", [None, "https://clinic.example/services/r4"], ids=["the server's base", "an alias"])
async def test_absolute_references_become_public_ones_and_no_other_text_does(
    tmp_path: Path, path: str, alias: str | None
) -> None:
    def script(asked: str, query: str, headers: Mapping[str, str]) -> ScriptedResponse:
        base = alias or server.base_url
        told = {
            "note": [{"text": f"see {base}/Patient/pat-a"}],
            "code": {"coding": [{"system": f"{base}/CodeSystem/x"}]},
        }
        own = observation("own", "pat-a", f"{base}/", **told)
        return 200, json.dumps(bundle(own) if asked == "Observation" else own, separators=(",", ":")).encode(), {}

    upstream = {"aliases": [alias] if alias else []}
    async with (
        scripted_server(script) as server,
        running_gateway(server.base_url, tmp_path, upstream=upstream) as gateway,
    ):
        base = alias or server.base_url
        (resource,) = resources_in((await gateway.request(path)).json())
        assert resource["subject"]["reference"] == f"{gateway.base_url}/Patient/pat-a"
        assert resource["note"][0]["text"] == f"see {base}/Patient/pat-a"
        assert resource["code"]["coding"][0]["system"] == f"{base}/CodeSystem/x"
