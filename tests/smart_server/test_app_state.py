"""App state through the running gateway: what apps keep for themselves (checklist AS)."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.fhir.request.interaction import AppStateRequest
from gateway.policy.reasons import Reason
from gateway.telemetry.audit_events.event_log import AuditEventLog
from gateway.telemetry.audit_events.spool import Spool
from tests.smart_server.app_states import (
    LIMITS,
    ORIGIN,
    PATIENT_SCOPE,
    USER_SCOPE,
    StateApp,
    keep_app_state,
    reason,
    state_app,
)
from tests.smart_server.running_server import RunningServer, run_smart_server
from tests.telemetry.audit_events.sample_events import FORMS

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]


@pytest.mark.requirement("AS-1", "C-9", "D-21", "D-22")
async def test_discovery_names_the_endpoint_where_it_is_switched_on(
    keeping: RunningServer, server: RunningServer
) -> None:
    documents = [
        (await each.http.get(f"{each.base}/.well-known/smart-configuration")).json() for each in (keeping, server)
    ]
    url = f"{keeping.root}/app-state"
    assert documents[0]["associated_endpoints"] == [{"url": url, "capabilities": ["smart-app-state"]}]
    assert documents[0]["smart_app_state_endpoint"] == url
    # At the FHIR base itself there is no app state.
    assert all("smart-app-state" not in document["capabilities"] for document in documents)
    assert not {"associated_endpoints", "smart_app_state_endpoint"} & documents[1].keys()
    assert (await server.http.get(f"{server.root}/app-state/metadata")).status_code == 404


@pytest.mark.requirement("AS-2")
async def test_the_endpoint_says_what_it_can_do_without_a_token(keeping: RunningServer) -> None:
    response = await keeping.http.get(f"{keeping.root}/app-state/metadata", headers={"origin": "https://any.example"})
    statement = response.json()
    (basic,) = statement["rest"][0]["resource"]
    assert {each["code"] for each in basic["interaction"]} == {"create", "update", "delete", "search-type"}
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.requirement("AS-2", "AS-6", "AS-7", "AS-12", "AS-18")
async def test_state_is_stored_as_it_was_sent_and_found_again(keeping: RunningServer, app: StateApp) -> None:
    body = app.body(text="<b>µ\u2028</b>", extension=[{"url": "https://a", "valueString": "1"}] * 2)
    response = await app.request("POST", "/Basic", json=body)
    stored = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"{app.url}/Basic/{stored['id']}"
    assert response.headers["etag"] == f'W/"{stored["meta"]["versionId"]}"'
    assert response.headers["cache-control"] == "no-store"
    assert {name: value for name, value in stored.items() if name not in {"id", "meta"}} == body
    bundle = (await app.search()).json()
    assert (bundle["type"], bundle["total"]) == ("searchset", 1)
    assert bundle["entry"][0]["resource"] == stored
    assert bundle["entry"][0]["fullUrl"] == response.headers["location"]
    # The address in the Bundle finds the same.
    again = await keeping.http.get(bundle["link"][0]["url"], headers={"authorization": f"Bearer {app.token}"})
    assert again.json() == bundle
    form = {"code": f"{ORIGIN}|preferences", "subject": "Patient/pat-a"}
    assert (await app.request("POST", "/Basic/_search", data=form)).json() == bundle


@pytest.mark.requirement("AS-3", "edge-157")
async def test_state_is_no_basic_of_the_fhir_server(keeping: RunningServer, app: StateApp, fhir_server: str) -> None:
    before = (await keeping.http.get(f"{fhir_server}/Basic")).json().get("entry", [])
    stored = (await app.create()).json()
    assert (await keeping.http.get(f"{fhir_server}/Basic")).json().get("entry", []) == before
    read = await keeping.http.get(
        f"{keeping.base}/Basic?subject=Patient/pat-a", headers={"authorization": f"Bearer {app.token}"}
    )
    assert stored["id"] not in read.text


@pytest.mark.requirement("AS-8")
async def test_an_update_makes_a_new_version(app: StateApp) -> None:
    stored = (await app.create()).json()
    response = await app.update(stored, extension=[{"url": "https://a", "valueString": "new"}])
    updated = response.json()
    assert response.status_code == 200
    assert response.headers["etag"] == f'W/"{updated["meta"]["versionId"]}"'
    assert updated["meta"]["versionId"] != stored["meta"]["versionId"]
    assert updated["extension"] == [{"url": "https://a", "valueString": "new"}]
    assert await app.found() == [updated]


@pytest.mark.requirement("AS-8")
@pytest.mark.parametrize(
    "change",
    [
        lambda app, stored: app.update(stored, 'W/"7"'),
        lambda app, stored: app.update(stored, 'W/"other"'),
        lambda app, stored: app.update(stored, subject={"reference": f"{app.fhir_base}/Patient/pat-a", "display": "A"}),
        lambda app, stored: app.update(stored, code={"coding": [{"system": ORIGIN, "code": "other"}]}),
    ],
    ids=["another version", "a version that is none", "another subject", "another code"],
)
async def test_an_update_that_does_not_fit_what_is_stored_changes_nothing(app: StateApp, change: Any) -> None:
    stored = (await app.create()).json()
    response = await change(app, stored)
    assert (response.status_code, reason(response)) == (412, "precondition_failed")
    assert await app.found() == [stored]


@pytest.mark.requirement("AS-8")
async def test_of_two_updates_of_one_version_one_is_refused(app: StateApp) -> None:
    stored = (await app.create()).json()
    assert (await app.update(stored, text={"status": "empty"})).status_code == 200
    assert (await app.update(stored)).status_code == 412


@pytest.mark.requirement("AS-2", "AS-21", "edge-154")
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_change_without_a_version_is_refused(app: StateApp, method: str) -> None:
    stored = (await app.create()).json()
    response = await app.request(method, f"/Basic/{stored['id']}", json=stored)
    assert (response.status_code, reason(response)) == (428, "precondition_missing")
    response = await app.request(method, f"/Basic/{stored['id']}", json=stored, headers={"if-match": "*"})
    assert (response.status_code, reason(response)) == (400, "precondition_invalid")
    assert await app.found() == [stored]


@pytest.mark.requirement("AS-11")
async def test_what_is_deleted_is_gone_and_everything_about_it_fails(app: StateApp) -> None:
    stored = (await app.create()).json()
    assert (await app.delete(stored, 'W/"7"')).status_code == 412
    # The guide's example sends the resource along.
    response = await app.request(
        "DELETE", f"/Basic/{stored['id']}", json=stored, headers={"if-match": f'W/"{stored["meta"]["versionId"]}"'}
    )
    assert (response.status_code, response.content) == (204, b"")
    assert await app.found() == []
    for later in (await app.delete(stored), await app.update(stored)):
        assert (later.status_code, reason(later)) == (412, "precondition_failed")


@pytest.mark.requirement("AS-4")
async def test_there_is_room_for_as_much_as_the_settings_say(app: StateApp) -> None:
    stored = [(await app.create(code=code)).json() for code in ("preferences", "preferences", "a", "b")]
    assert len(stored) == LIMITS["max_resources"]
    response = await app.create(code="c")
    assert (response.status_code, reason(response)) == (422, "app_state_full")
    for each, code in zip(stored, ("preferences", "preferences", "a", "b"), strict=True):
        assert each in await app.found(code=code)
        assert (await app.delete(each)).status_code == 204


@pytest.mark.requirement("AS-5")
async def test_a_resource_may_have_256_kilobytes_and_no_more(app: StateApp) -> None:
    overhead = len(httpx2.Request("POST", "http://x", json=app.body(text="")).content)
    largest = await app.create(text="x" * (256 * 1024 - overhead))
    assert largest.status_code == 201
    response = await app.create(text="x" * (256 * 1024 - overhead + 1))
    assert (response.status_code, reason(response)) == (413, "request_too_large")
    assert [(await app.create(text="x" * 250_000)).status_code for _ in range(2)] == [201, 422]
    assert len(await app.found()) == 2


@pytest.mark.requirement("AS-5")
@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"json": {"resourceType": "Basic"}}, 422, "app_state_invalid"),
        ({"json": {"resourceType": "Patient"}}, 400, "body_type_mismatch"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "body_malformed"),
        ({"content": b"{}", "headers": {"content-type": "text/plain"}}, 415, "media_type_unsupported"),
    ],
    ids=["a Basic without a code", "another type", "no JSON", "another media type"],
)
async def test_a_body_that_is_no_state_is_refused(
    app: StateApp, options: dict[str, Any], status: int, code: str
) -> None:
    response = await app.request("POST", "/Basic", **options)
    assert (response.status_code, reason(response)) == (status, code)


@pytest.mark.requirement("AS-2")
@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/Basic/x", {}, 403),
        ("GET", "/Basic/x/_history", {}, 403),
        ("GET", "/Patient/pat-a", {}, 403),
        ("GET", "/Patient?_id=pat-a", {}, 403),
        ("GET", "/", {}, 403),
        ("PATCH", "/Basic/x", {"content-type": "application/json-patch+json"}, 403),
        ("POST", "/Basic", {"if-none-exist": "code=a|b"}, 403),
        ("PUT", "/Basic?code=a|b", {}, 403),
        ("PUT", "/Basic/x", {"if-none-match": "*"}, 403),
        ("POST", "/Patient", {}, 403),
        ("POST", "/", {}, 415),
        ("GET", "/%2e%2e/fhir/Patient/pat-a", {}, 400),
        ("POST", "/Basic/x", {}, 405),
    ],
)
async def test_nothing_else_is_there(
    keeping: RunningServer, app: StateApp, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    url = httpx2.URL(app.url).copy_with(raw_path=f"/app-state{path}".encode())
    headers = {"authorization": f"Bearer {app.token}", **headers}
    response = await keeping.http.request(method, url, headers=headers)
    assert (response.status_code, bool(reason(response))) == (status, True)


async def test_without_its_store_app_state_is_closed_and_says_so(fhir_server: str) -> None:
    async with run_smart_server(fhir_server, change=keep_app_state) as server:
        app = await state_app(server)
        stored = (await app.create()).json()
        smart_server = server.gateway._smart_server
        assert smart_server is not None
        await smart_server.store.aclose()
        for response in (await app.search(), await app.create(), await app.update(stored), await app.delete(stored)):
            assert (response.status_code, reason(response)) == (503, "app_state_unavailable")
            assert response.headers["retry-after"] == "5"


@pytest.mark.requirement("AS-19")
async def test_the_consent_page_says_that_what_an_app_keeps_may_become_part_of_the_record(
    keeping: RunningServer, server: RunningServer
) -> None:
    sentence = "What it keeps may become part of the health record."
    app = keeping.app("state-app", redirect_uri=f"{ORIGIN}/callback")
    for scope, is_said in ((PATIENT_SCOPE, True), ("patient/*.cruds", True), ("patient/Basic.s", False)):
        _, page = await keeping.open_consent_page(app, scope)
        assert (sentence in page.text) is is_said, scope
    closed = keeping.app("closed-app", redirect_uri=f"{ORIGIN}/cb")
    for other, run in ((closed, keeping), (server.app(), server)):
        _, page = await run.open_consent_page(other, PATIENT_SCOPE)
        assert sentence not in page.text


async def test_audit_and_metrics_tell_app_state_from_records(keeping: RunningServer, app: StateApp) -> None:
    keeping.telemetry.records.clear()
    await app.create()
    await app.search()
    records = keeping.telemetry.records
    assert all(isinstance(record.interaction, AppStateRequest) for record in records)
    assert [(record.reason, record.kept, record.upstream_seconds) for record in records] == [
        (Reason.PERMITTED, 1, None)
    ] * 2


@pytest.mark.requirement("CO-2")
async def test_browsers_of_the_apps_own_origin_may_use_it(keeping: RunningServer, app: StateApp) -> None:
    for origin, allowed in ((ORIGIN, ORIGIN), ("https://foreign.example", None)):
        response = await app.request("GET", "/Basic", headers={"origin": origin})
        assert response.headers.get("access-control-allow-origin") == allowed
    preflight = await keeping.http.options(f"{app.url}/Basic", headers={"origin": ORIGIN})
    assert "If-Match" in preflight.headers["access-control-allow-headers"]
    assert "PUT" in preflight.headers["access-control-allow-methods"]


async def test_the_events_of_a_write_name_the_patient_whom_the_state_is_about(fhir_server: str, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", ["file"], None, 1024 * 1024)
    events = AuditEventLog(spool, FORMS["in full"], "urn:x", refuses_when_full=True)
    async with run_smart_server(fhir_server, change=keep_app_state, audit_events=events) as keeping:
        # No patient is in the token.
        app = await state_app(keeping, scope=USER_SCOPE, user="patient")
        _, position = spool.read("file", max_lines=100, max_bytes=1024 * 1024)
        spool.advance("file", position)
        created = await app.request("POST", "/Basic", json=app.body(), headers={"prefer": "return=minimal"})
        assert (created.status_code, created.content) == (201, b"")
        path = created.headers["location"].removeprefix(app.url)
        assert (await app.request("DELETE", path, headers={"if-match": created.headers["etag"]})).status_code == 204
    lines, _ = spool.read("file", max_lines=10, max_bytes=1024 * 1024)
    spool.close()
    entities = [[entity for entity in json.loads(line)["entity"] if "role" in entity] for line in lines]
    patients = [[one["what"]["identifier"]["value"] for one in each if one["role"]["code"] == "1"] for each in entities]
    assert patients == [["pat-a"], ["pat-a"]]
