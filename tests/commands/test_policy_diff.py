"""`policy diff` on what a running gateway has recorded of real requests, in front of a real FHIR server."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.credentials.development_key import load_or_create_key, sign_access_token
from tests.commands.reload.changed_process import IN_FORCE, logged, write_settings
from tests.commands.serving_process import ISSUER, ServingProcess, serving_process, until
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet

pytestmark = pytest.mark.sekmet

# It stands wherever a request can say something of a person.
MARK = "Smithers1970"
_JSON = {"content-type": "application/fhir+json"}
_PARAMETERS = {"resourceType": "Parameters", "parameter": [{"name": "patient", "valueString": MARK}]}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Server]:
    with start_sekmet() as server:
        yield server


def observation(**members: Any) -> dict[str, Any]:
    about = {"status": "final", "code": {"text": MARK}, "subject": {"reference": "Patient/pat-a"}}
    return {"resourceType": "Observation", **about, **members}


def entry(method: str, url: str, resource: dict[str, Any] | None = None) -> dict[str, Any]:
    request = {"request": {"method": method, "url": url}}
    return request if resource is None else {**request, "resource": resource}


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


# By client: its scopes, and its requests as method, target and body.
_REQUESTS: dict[str, tuple[str, list[tuple[str, str, Any]]]] = {
    "chart": (
        "patient/*.rs openid fhirUser",
        [
            ("GET", "/Patient/pat-a", None),
            ("GET", "/Patient/pat-b", None),
            ("GET", f"/Patient/{MARK}", None),
            ("GET", "/Observation?patient=pat-a&_count=1", None),
            ("GET", f"/Observation?subject=Patient/pat-a&code=http://loinc.org|{MARK}&date=ge1970-01-02", None),
            ("POST", "/Observation/_search", f"patient=pat-a&code:text={MARK}"),
            ("GET", "/Observation?_summary=count", None),
            ("GET", f"/Observation?patient.name={MARK}", None),
            ("GET", f"/Observation?encounter.identifier={MARK}", None),
            ("GET", f"/Observation?{MARK}=1", None),
            ("GET", f"/Observation?_filter={MARK}", None),
            ("GET", "/Patient/pat-a/_history", None),
            ("GET", f"/Patient/pat-a/_history/{MARK}", None),
            ("GET", "/Patient/pat-b/Observation", None),
            ("GET", "/?_type=Observation,Condition", None),
            ("GET", "/Practitioner?name=Dora", None),
            ("GET", "/Patient/pat-a/$everything?start=1970-01-02", None),
            ("GET", f"/Patient/pat-a/${MARK}", None),
            ("POST", f"/Patient/$everything?{MARK}=1", _PARAMETERS),
            ("POST", "/Observation", observation()),
            ("GET", "/$export", None),
            ("GET", f"/?_page={MARK}", None),
            ("POST", "/", bundle("batch", entry("GET", f"Observation?code={MARK}"), entry("GET", f"Patient/{MARK}"))),
        ],
    ),
    "writer": (
        "patient/*.cruds",
        [
            ("POST", "/Observation", observation(note=[{"text": MARK}])),
            ("PUT", f"/Observation/{MARK}", observation(id=MARK)),
            ("PATCH", f"/Observation/{MARK}", [{"op": "add", "path": "/status", "value": MARK}]),
            ("DELETE", f"/Observation?identifier={MARK}", None),
            ("PUT", f"/Observation/other-{MARK}", observation(id=MARK)),
            ("POST", "/", bundle("transaction", entry("POST", "Observation", observation()))),
        ],
    ),
    "laboratory": (
        f"user/Observation.rs?category=laboratory user/Patient.r?_id={MARK}",
        [
            ("GET", "/Observation?category=laboratory", None),
            ("GET", "/Observation?category=vital-signs", None),
            ("GET", "/Patient/pat-a", None),
        ],
    ),
}


def token(gateway: ServingProcess, client_id: str, scope: str) -> str:
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": gateway.base_url,
        "sub": MARK,
        "client_id": client_id,
        "scope": scope,
        "exp": int(time.time()) + 600,
    }
    who = {"patient": "pat-a"} if "patient/" in scope else {}
    claims |= {**who, "fhirUser": f"Practitioner/{MARK}"}
    return sign_access_token(load_or_create_key(gateway.folder / "key.json"), claims)


async def send_all(gateway: ServingProcess) -> int:
    """Send every request; the number of those that are recorded: of a Bundle, its entries, too."""
    number = 0
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        for client_id, (scope, requests) in _REQUESTS.items():
            headers = {"authorization": f"Bearer {token(gateway, client_id, scope)}"}
            for method, target, body in requests:
                if isinstance(body, str):
                    options: dict[str, Any] = {"content": body}
                    kind = {"content-type": "application/x-www-form-urlencoded"}
                else:
                    options = {} if body is None else {"content": json.dumps(body)}
                    kind = {} if body is None else _JSON
                    kind = {"content-type": "application/json-patch+json"} if method == "PATCH" else kind
                response = await http.request(method, gateway.base_url + target, headers={**headers, **kind}, **options)
                assert response.status_code != 500, target
                number += 1 + (len(body["entry"]) if isinstance(body, dict) and "entry" in body else 0)
    return number


def diff(*words: str) -> tuple[int, str, str]:
    """The exit status of `policy diff`, and what it prints to both streams."""
    command = [sys.executable, "-m", "gateway", "policy", "diff", *words]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return process.returncode, process.stdout, process.stderr


def change(gateway: ServingProcess, name: str, **changes: Any) -> str:
    """A copy of the configuration with these settings; its path."""
    values = json.loads((gateway.folder / "gateway.yaml").read_text()) | changes
    path = gateway.folder / name
    path.write_text(json.dumps(values))
    return str(path)


@pytest.mark.parametrize("workers", [1, 2])
async def test_recorded_requests_are_decided_again_under_two_configurations(
    upstream: Server, tmp_path: Path, workers: int
) -> None:
    file = tmp_path / "requests.jsonl"
    async with serving_process(upstream.base_url, {"recording": {"file": str(file)}}, workers) as gateway:
        number = await send_all(gateway)
        gateway.signal(signal.SIGTERM)
        assert await gateway.exit_status() == 0

        text = file.read_text()
        assert [word for word in (MARK, "pat-a", "pat-b", "1970", "Dora") if word in text] == []

        old = str(gateway.folder / "gateway.yaml")
        status, output, _ = diff(old, old, "--recorded", str(file), "--json")
        report = json.loads(output)
        # The same decisions as in the running gateway, each of them.
        assert (status, report["changes"], report["decided_otherwise"], report["unreadable_lines"]) == (0, [], 0, 0)
        assert report["requests"] == number
        undecided = sorted((one["why"].partition(":")[0], one["count"]) for one in report["undecided"])
        assert undecided == [("page", 1), ("the request could not be read, and what it said was not recorded", 1)]

        stricter = change(
            gateway,
            "stricter.yaml",
            writes={"allow": False},
            operations={"Patient/[id]/$everything": {"enabled": False}},
            compartments={"membership": "subject"},
        )
        status, output, _ = diff(old, stricter, "--recorded", str(file))
        assert status == 1
        assert "of writer: POST /Observation (refused now: writes_off)" in output
        assert (
            "1 of chart: GET /Patient/id-1/$everything?start=2000-01-01 (refused now: operation_not_allowed)" in output
        )
        narrowed = output.partition("narrowed differently")[2]
        assert "of chart: GET /Observation?subject=Patient/id-1&code=value-1%7Cvalue-2&date=ge2000-01-01" in narrowed
        assert "permitted now: Observation in the compartment of Patient/id-1; looks at subject" in narrowed

        status, output, _ = diff(stricter, old, "--recorded", str(file), "--json")
        assert status == 1
        assert {found["kind"] for found in json.loads(output)["changes"]} == {"allowed", "narrowed", "reason"}


async def test_a_request_in_shadow_mode_is_recorded_as_the_policy_decided_it(upstream: Server, tmp_path: Path) -> None:
    file, until_then = tmp_path / "requests.jsonl", datetime.now(UTC) + timedelta(days=1)
    shadow = {"issuer": ISSUER, "client_id": "chart", "until": until_then.strftime("%Y-%m-%dT%H:%M:%SZ")}
    settings = {"recording": {"file": str(file)}, "shadow": [shadow]}
    async with serving_process(upstream.base_url, settings) as gateway, httpx2.AsyncClient(trust_env=False) as http:
        headers = {"authorization": f"Bearer {token(gateway, 'chart', 'patient/Observation.rs')}"}
        for path in ("/Patient/pat-a", "/Observation"):
            assert (await http.get(gateway.base_url + path, headers=headers)).status_code == 200
        gateway.signal(signal.SIGTERM)
        assert await gateway.exit_status() == 0
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert [(line["path"], line["decision"]) for line in lines] == [
            ("/Patient/id-1", "scope_insufficient"),
            ("/Observation", "permitted"),
        ]


async def test_recording_is_switched_on_and_off_by_a_reload(upstream: Server, tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    async with serving_process(upstream.base_url) as gateway:
        await send_all(gateway)
        write_settings(gateway, recording={"file": str(file)})
        gateway.signal(signal.SIGHUP)
        await logged(gateway, IN_FORCE)
        number = await send_all(gateway)
        write_settings(gateway, recording=None)
        gateway.signal(signal.SIGHUP)
        await logged(gateway, IN_FORCE, 2)
        await until(lambda: file.exists() and _count(file) == number)
        await send_all(gateway)
        gateway.signal(signal.SIGTERM)
        assert await gateway.exit_status() == 0
    assert _count(file) == number


def _count(file: Path) -> int:
    return sum(json.loads(line)["count"] for line in file.read_text().splitlines())


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    path = tmp_path / "gateway.yaml"
    base = {"public_base_url": "https://fhir.example.org/r4", "upstream": {"base_url": "http://fhir.internal/fhir"}}
    clients = [
        {"client_id": "chart", "name": "Chart", "redirect_uris": ["https://a.example/"], "scopes": "patient/*.rs"}
    ]
    path.write_text(json.dumps({**base, "smart_server": {"store": "redis://store", "clients": clients}}))
    return str(path)


def test_what_cannot_be_used_is_named(configuration: str, tmp_path: Path) -> None:
    garbage, invalid = tmp_path / "garbage", tmp_path / "invalid.yaml"
    garbage.write_text('{"interaction":1}\n\x00\n')
    invalid.write_text("public_base_url: nonsense\n")
    for words, named in (
        ((configuration, str(tmp_path / "none.yaml")), "none.yaml: cannot be read"),
        ((configuration, str(invalid)), "invalid.yaml"),
        ((configuration, configuration, "--recorded", str(garbage)), "garbage: holds no recorded request"),
        ((configuration, configuration, "--recorded", str(tmp_path / "none")), "none"),
    ):
        status, output, error = diff(*words)
        assert (status, output) == (2, ""), words
        assert named in error


def test_without_a_recording_requests_are_made_up(configuration: str, tmp_path: Path) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(Path(configuration).read_text().replace("patient/*.rs", "patient/*.r"))
    assert diff(configuration, configuration)[0] == 0
    status, output, _ = diff(configuration, str(changed))
    assert status == 1
    assert output.startswith("Made up: ")
    assert "1 of chart: GET /Observation (refused now: scope_insufficient)" in output
