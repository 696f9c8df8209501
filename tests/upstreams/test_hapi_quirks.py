"""What HAPI really does where others do not, and that none of it reaches A's app: one test for each quirk.

Each test first asks HAPI itself, so that a quirk that is mended in a later version is noticed. It runs in front of HAPI
alone (see `conftest.py`).
"""

import json
from typing import Any

import httpx2
import pytest

from tests.gateway.marks import ids_in, link_of, reason_of, resources_in
from tests.servers.people import B_MARKER
from tests.upstreams.asking import FORM, A, Front, Grant
from tests.upstreams.stored import about, observation, of_type
from tests.upstreams.upstream import HAPI_STRICT

pytestmark = pytest.mark.asyncio(loop_scope="module")

B = Grant(claims={"patient": "pat-b"}, marks=())
SYSTEM = Grant("system/*.rs", {"patient": None}, marks=())
A_OBSERVATIONS = of_type("Observation", about("pat-a"))
EMPTY = ("patient=", "patient=%20", "subject=", "patient=,", "_id=", "code=", "date=")


async def refused_unsent(front: Front, path: str, **options: Any) -> str:
    """The reason of a refusal that was given before anything was asked of the server."""
    answer = await front.ask(path, **options)
    records = reversed(front.gateways["full"].seen.records)
    record = next(one for one in records if one.decision_id == answer.headers["x-decision-id"])
    assert record.trace.waited is None, "something was sent"
    assert 400 <= answer.status_code < 500
    return reason_of(answer)


async def direct(front: Front, path: str, **options: Any) -> httpx2.Response:
    """The server's own answer, without the gateway."""
    method = options.pop("method", "GET")
    return await front.gateways["full"].client.request(method, front.base_url + path, **options)


def shows_b(answer: httpx2.Response) -> bool:
    """Whether B's records stand in the server's own answer."""
    return answer.status_code == 200 and B_MARKER in answer.text


async def test_b1_a_paging_handle_is_for_whoever_holds_it(front: Front) -> None:
    own = await front.ask("/Observation?_count=3", B)
    sealed = link_of(own, "next")
    assert sealed is not None
    assert (await front.ask(sealed, B)).status_code == 200
    assert (await front.ask(sealed)).status_code == 404

    raw = await direct(front, "/Observation?patient=Patient/pat-b&_count=3")
    handle = httpx2.URL(link_of(raw, "next") or "").query.decode()
    assert shows_b(await direct(front, f"?{handle}")), "the quirk is gone"
    for path in ("", "/", "/Observation"):
        assert await refused_unsent(front, f"{path}?{handle}") == "parameter_unknown"
    assert await refused_unsent(front, f"/?_page=x&{handle}") == "parameter_unknown"


async def test_b1_the_content_of_a_page_is_as_it_is_now(front: Front) -> None:
    """The list is made once, as far as HAPI looks ahead, the resources are read as they stand: one is B's now."""
    async with front.gone_afterwards("Observation/pat-a-observation-3x"):
        await front.upstream_put(observation("pat-a", "pat-a-observation-3x"))
        first = await front.ask("/Observation?_sort=_id&_count=5")
        raw = await direct(front, "/Observation?patient=Patient/pat-a&_sort=_id&_count=50")
        assert ids_in(raw) == front.expected(A_OBSERVATIONS) | {"Observation/pat-a-observation-3x"}
        raw = await direct(front, "/Observation?patient=Patient/pat-a&_sort=_id&_count=5")
        await front.upstream_put(observation("pat-b", "pat-a-observation-3x"))

        shown = False
        while (following := link_of(raw, "next")) is not None:
            raw = await front.gateways["full"].client.get(following)
            shown = shown or shows_b(raw)
        assert shown, "the quirk is gone"

        pages = [first, *await front.pages(link_of(first, "next") or "")]
        assert front.found(pages) == front.expected(A_OBSERVATIONS)
        assert front.misses(A, pages) == [{"Observation": 1}], "the alarm did not ring"
        assert link_of(pages[-1], "next") is None


@pytest.mark.parametrize("query", EMPTY)
async def test_b2_what_has_no_value_is_dropped(front: Front, query: str) -> None:
    assert shows_b(await direct(front, f"/Observation?{query}&_count=1000")), "the quirk is gone"
    assert await refused_unsent(front, f"/Observation?{query}") in {"parameter_empty", "parameter_invalid"}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/Observation?patient=,Patient/pat-a", "parameter_empty"),
        ("/Observation?patient=Patient/pat-a,", "parameter_empty"),
        ("/Observation?patient:=pat-a", "modifier_unknown"),
        ("/Observation?_bogus=1", "parameter_unknown"),
        ("/Observation?_type=Observation", "parameter_unknown"),
        ("/Observation?_since=2026-01-01T00:00:00Z", "parameter_unknown"),
        ("/Observation?_resource=x", "parameter_unknown"),
        ("/Patient?name:not=x", "modifier_unknown"),
        ("/Observation?_id:bogus=pat-b-smoking", "modifier_unknown"),
        ("/Patient?_revinclude:bogus=Observation:subject", "modifier_unknown"),
        ("/Observation?PATIENT=pat-a", "parameter_unknown"),
        ("/Observation/pat-a-smoking?_bogus=1", "parameter_unknown"),
        ("//Observation", "path_malformed"),
        ("/Observation/", "path_malformed"),
        ("/%4fbservation;x=y", "path_malformed"),
    ],
)
async def test_b2_what_is_not_understood_is_dropped(front: Front, path: str, reason: str) -> None:
    assert await refused_unsent(front, path) in {reason, "parameter_invalid"}


async def test_b2_a_name_may_be_encoded(front: Front) -> None:
    assert (await front.ask("/Observation?%70atient=Patient/pat-b")).json().get("entry", []) == []


@pytest.mark.parametrize(
    ("media_type", "body"), [("application/json", '{"patient":"pat-a"}'), ("text/plain", "patient=pat-a")]
)
async def test_b3_a_search_reads_no_other_body_than_a_form(front: Front, media_type: str, body: str) -> None:
    asked = {"method": "POST", "headers": {"content-type": media_type}, "content": body}
    assert shows_b(await direct(front, "/Observation/_search?_count=1000", **asked)), "the quirk is gone"
    assert await refused_unsent(front, "/Observation/_search", **asked) == "media_type_unsupported"


async def test_b4_results_are_kept_for_everyone(front: Front) -> None:
    """A result kept from before lists what has left, and not what has come: nobody asks for it here."""
    async with front.gone_afterwards("Observation/a-going", "Observation/a-coming"):
        query = "/Observation?patient=Patient%2Fpat-a&_count=50"
        await front.upstream_put(observation("pat-a", "a-going"))
        await direct(front, query)
        await front.upstream_put(observation("pat-b", "a-going"))
        await front.upstream_put(observation("pat-a", "a-coming"))
        kept = await direct(front, query)
        if front.upstream is HAPI_STRICT:
            assert "HIT" in kept.headers.get("x-cache", ""), "the quirk is gone"
            assert shows_b(kept)
        answers = await front.pages("/Observation?_count=50")
        assert front.found(answers) == front.expected(A_OBSERVATIONS) | {"Observation/a-coming"}


async def test_b4_a_kept_result_may_be_poisoned(front: Front) -> None:
    """In the key of a kept result an absolute reference is cut to its end, in the search it is not."""
    await direct(front, "/Observation?patient=http://evil.example/fhir/Patient/pat-a&_count=49")
    kept = await direct(front, "/Observation?patient=Patient/pat-a&_count=49")
    if front.upstream is HAPI_STRICT:
        assert "entry" not in kept.json(), "the quirk is gone"
    await front.ask("/Observation?patient=http://evil.example/fhir/Patient/pat-a", SYSTEM)
    assert front.found(await front.pages("/Observation?_count=49")) == front.expected(A_OBSERVATIONS)
    poisoned = await front.pages("/Observation?patient=http://evil.example/fhir/Patient/pat-b")
    assert front.found(poisoned) == set()


async def test_b5_lastn_narrows_by_nothing(front: Front) -> None:
    assert shows_b(await direct(front, "/Observation/$lastn?patient=Patient/pat-a&_count=1000")), "the quirk is gone"
    for query in ("patient=Patient/pat-a", "patient=Patient/pat-b", "subject=Patient/pat-a&max=1"):
        assert await refused_unsent(front, f"/Observation/$lastn?{query}") == "operation_not_allowed"


async def test_b6_a_history_may_be_of_several_patients(front: Front) -> None:
    """The count is remembered and cuts the list; whatever is in it, only A's versions are shown."""
    async with front.gone_afterwards("Observation/a-mixed"):
        mixed = {}
        for patient in ("pat-a", "pat-b", "pat-a", "pat-b", "pat-a"):
            mixed[await front.upstream_put(observation(patient, "a-mixed"))] = patient
            await direct(front, "/Observation/a-mixed/_history")
        own = {version for version, patient in mixed.items() if patient == "pat-a"}
        shown = [one["meta"]["versionId"] for one in resources_in(await front.ask("/Observation/a-mixed/_history"))]
        assert shown
        assert set(shown) <= own
        for version, patient in mixed.items():
            answer = await front.ask(f"/Observation/a-mixed/_history/{version}")
            assert answer.status_code == (200 if patient == "pat-a" else 404)
        for query in ("_since=2026-01-01", "_count=-1"):
            assert await refused_unsent(front, f"/Observation/a-mixed/_history?{query}") == "parameter_invalid"
        await front.upstream_delete("Observation/a-mixed")
        absent = await front.ask("/Observation/never-was/_history/1")
        for version in mixed:
            assert (await direct(front, f"/Observation/a-mixed/_history/{version}")).status_code == 200, (
                "the quirk is gone"
            )
            deleted = await front.ask(f"/Observation/a-mixed/_history/{version}")
            assert (deleted.status_code, deleted.content) == (404, absent.content)


async def test_b10_the_subject_may_be_left_out(front: Front) -> None:
    for query in ("_elements=status", "_summary=text"):
        [bare] = resources_in(await direct(front, f"/Observation?_id=pat-b-smoking&{query}"))
        assert "subject" not in bare, "the quirk is gone"
        assert front.found([await front.ask(f"/Observation?_id=pat-b-smoking&{query}")]) == set()
        assert front.found([await front.ask(f"/Observation?_id=pat-a-smoking&{query}")])
    page = await direct(front, "/Observation/pat-a-smoking?_summary=text")
    assert page.headers["content-type"].startswith("text/html"), "the quirk is gone"
    answer = await front.ask("/Observation/pat-a-smoking?_summary=text")
    assert answer.headers["content-type"].startswith("application/fhir+json")


async def test_b13_there_is_a_second_query_language(front: Front) -> None:
    query = "_filter=patient%20eq%20pat-b&_count=50"
    assert shows_b(await direct(front, f"/Observation?{query}")), "the quirk is gone"
    assert await refused_unsent(front, f"/Observation?{query}") == "parameter_refused"


@pytest.mark.parametrize(
    "query",
    [
        "_revinclude=*",
        "_include=*",
        "_include:iterate=*&_revinclude:iterate=*",
        "_revinclude=*&_include:iterate=*&_revinclude=List:item&_revinclude=Group:member",
        "_revinclude=Appointment:actor&_include:iterate=Appointment:actor",
        "_revinclude=Group:member&_include:iterate=Group:member",
    ],
)
async def test_b14_includes_bring_what_they_like(front: Front, query: str) -> None:
    answers = await front.pages(f"/Patient?_id=pat-a&{query}")
    assert front.found(answers, "match") == {"Patient/pat-a"}
    patients = {name for name in front.found(answers, "include") if name.startswith("Patient/")}
    assert patients == set()


async def test_b14_an_include_of_everybody_is_really_brought(front: Front) -> None:
    raw = await direct(front, "/Patient?_id=pat-a&_revinclude=Group:member&_include:iterate=Group:member")
    assert shows_b(raw), "the quirk is gone"


@pytest.mark.parametrize("count", [1, 7, 50, 51, 1000, 999999999])
async def test_b15_a_page_is_as_long_as_the_server_likes(front: Front, count: int) -> None:
    assert front.found(await front.pages(f"/Observation?_count={count}")) == front.expected(A_OBSERVATIONS)


@pytest.mark.parametrize("query", ["_count=-1", "_count=x", "_count=1e3", "_offset=1", "_offset=-1"])
async def test_b15_pages_by_number_are_refused(front: Front, query: str) -> None:
    assert await refused_unsent(front, f"/Observation?{query}") in {"parameter_invalid", "parameter_unknown"}


async def test_b16_links_show_what_was_asked_here(front: Front) -> None:
    base_url = front.gateways["full"].base_url
    answer = await front.ask("/Observation?code=4548-4&_count=5")
    assert link_of(answer, "self") == f"{base_url}/Observation?code=4548-4&_count=5"
    posted = await front.ask("/Observation/_search?_count=5", method="POST", headers=FORM, content="code=4548-4")
    assert link_of(posted, "self") == link_of(answer, "self")
    assert (await direct(front, "/Patient/pat-a")).headers.get("x-powered-by"), "the quirk is gone"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:99"},
        {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https", "x-forwarded-prefix": "/evil"},
        {"forwarded": "host=evil.example;proto=https"},
    ],
)
async def test_links_follow_no_header_of_the_client(front: Front, headers: dict[str, str]) -> None:
    if "host" in headers:
        told = await direct(front, "/Observation?patient=Patient/pat-a&_count=2", headers=headers)
        assert "evil.example" in told.text, "the quirk is gone"
    answer = await front.ask("/Observation?_count=2", headers=headers)
    assert answer.status_code == 200
    assert "evil.example" not in answer.text + json.dumps(dict(answer.headers))
    following = link_of(answer, "next")
    assert following is not None
    assert (await front.ask(following, A, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        {"headers": {"accept": "text/html"}},
        {"headers": {"accept": "application/fhir+xml"}},
        {"path": "?_format=html/json"},
        {"path": "?_format=xml"},
        {"path": "?_format=html"},
    ],
)
async def test_only_json_is_spoken(front: Front, asked: dict[str, Any]) -> None:
    """HAPI answers pages of HTML and XML, which nothing here could verify."""
    path = f"/Patient/pat-a{asked.get('path', '')}"
    assert await refused_unsent(front, path, headers=asked.get("headers", {})) == "format_not_acceptable"


async def test_the_compartment_is_searched_by_a_parameter(front: Front) -> None:
    assert (await direct(front, "/Patient/pat-a/Observation")).status_code == 400, "HAPI searches compartments now"
    assert front.found(await front.pages("/Patient/pat-a/Observation")) == front.expected(A_OBSERVATIONS)


async def test_a_refusal_of_the_server_says_nothing_of_it(front: Front) -> None:
    """HAPI's own words list parameters and ids; ours stand in their place (leak_28)."""
    answer = await front.ask("/?_type=Observation")
    assert (answer.status_code, reason_of(answer)) == (400, "upstream_rejected")
    assert "HAPI" not in answer.text


async def test_a_binary_leaves_raw_where_raw_is_asked_for(front: Front) -> None:
    """HAPI names the security context in a head of its own, which decides before a byte is read."""
    raw = await direct(front, "/Binary/pat-a-binary", headers={"accept": "*/*"})
    assert raw.headers["x-security-context"] == "Patient/pat-a", "the quirk is gone"
    letter = await front.ask("/Binary/pat-a-binary", headers={"accept": "*/*"})
    assert (letter.content, letter.headers["content-type"]) == (b"Letter of pat-a: letter\n", "text/plain")
    assert (await front.ask("/Binary/pat-a-scan", headers={"accept": "*/*"})).content == b"scan"
    absent = await front.ask("/Binary/never-was", headers={"accept": "*/*"})
    for name in ("pat-b-binary", "pat-b-scan"):
        hidden = await front.ask(f"/Binary/{name}", headers={"accept": "*/*"})
        assert (hidden.status_code, hidden.content) == (404, absent.content)
