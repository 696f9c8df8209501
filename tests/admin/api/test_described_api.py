"""docs/admin-openapi.json describes the API: it is written from the operations, and tried by schemathesis."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.admin.api.problem import ProblemCode
from scripts import admin_api
from tests.admin.running_admin import OPERATOR_TOKEN, RunningAdmin, run_admin

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.sekmet]

DOCUMENT: dict[str, Any] = json.loads(admin_api.FILE.read_text(encoding="utf-8"))
OPERATIONS = {
    (method.upper(), path): operation for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
}
# What an API description cannot say: which ids there are, and which texts are a name or a URL that is accepted.
_NOT_CHECKED = "positive_data_acceptance,missing_required_header"
# Operations on one app or one user, which the run finds registered.
_ON_CLIENT, _ON_USER = "tried-app", "tried-user"


def _allow_guesses(settings: dict[str, Any]) -> None:
    settings["smart_server"] |= {"login_attempts": 100_000, "rate_limits": {"wrong_secrets": 0}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(fhir_server: str) -> AsyncIterator[RunningAdmin]:
    """An admin port that is tried with many wrong passwords and tokens."""
    async with run_admin(fhir_server, change=_allow_guesses) as running:
        yield running


async def test_the_file_is_what_the_operations_say() -> None:
    text = await asyncio.to_thread(admin_api.description_text)
    assert text == admin_api.FILE.read_text(encoding="utf-8"), "run: python -m scripts.document_tables"


async def test_every_operation_that_is_served_is_described_and_no_other(admin: RunningAdmin) -> None:
    served = {(one.method, one.path) for one in await asyncio.to_thread(admin_api.described_operations)}
    assert served == set(OPERATIONS)
    shown = await admin.server.http.get(f"{admin.url}/api/openapi.json")
    assert shown.json() == DOCUMENT


async def test_every_reference_leads_somewhere() -> None:
    for reference in re.findall(r'"#/([\w/]+)"', admin_api.FILE.read_text(encoding="utf-8")):
        value: Any = DOCUMENT
        for name in reference.split("/"):
            value = value[name]


async def test_every_change_needs_an_operator_and_every_look_somebody() -> None:
    for (method, path), operation in OPERATIONS.items():
        is_open = (method, path) in {("POST", "/session"), ("GET", "/openapi.json")}
        assert bool(operation["security"]) is not is_open, path
        assert ("403" in operation["responses"]) is not is_open, path


async def test_the_codes_of_problems_are_described() -> None:
    assert set(DOCUMENT["components"]["schemas"]["ProblemCode"]["enum"]) == {code.value for code in ProblemCode}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "phase", [pytest.param("coverage", id="each rule of each schema kept and broken"),
              pytest.param("fuzzing", id="some random requests, the same each time")]
)  # fmt: skip
async def test_schemathesis_finds_no_answer_that_is_not_described(
    admin: RunningAdmin, phase: str, tmp_path: Path
) -> None:
    """Deterministic: the same requests in each run, as many as the description and `--max-examples` have it."""
    app = {
        "client_id": _ON_CLIENT,
        "name": "Tried",
        "type": "confidential-symmetric",
        "redirect_uris": ["https://tried.example/callback"],
        "launch_uris": ["https://tried.example/launch"],
    }
    user = {"username": _ON_USER, "name": "Tried", "password": "a password to try"}
    assert (await admin.call("POST", "/clients?replace=true", app)).status_code == 201
    assert (await admin.call("POST", "/users?replace=true", user)).status_code == 201
    (tmp_path / "schemathesis.toml").write_text(_known_ids())
    words = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(tmp_path / "schemathesis.toml"),
        "run", f"{admin.url}/api/openapi.json", "--phases", phase, "--max-examples", "2", "--generation-deterministic",
        "--header", f"Authorization: Bearer {OPERATOR_TOKEN}", "--exclude-checks", _NOT_CHECKED, "--no-color",
        "--request-timeout", "120", "--suppress-health-check", "all", "--no-shrink",
    ]  # fmt: skip
    run = await asyncio.to_thread(subprocess.run, words, cwd=tmp_path, capture_output=True, check=False)
    output = (run.stdout + run.stderr).decode()
    assert run.returncode == 0, output[-8000:]
    # It leaves out the description, which it was read from.
    tried = len(OPERATIONS) - 1
    assert f"Selected: {tried}/{tried}" in output, output[-8000:]


def _known_ids() -> str:
    """The configuration of schemathesis: operations on one app or user get those that there are."""
    known = {"client_id": _ON_CLIENT, "user": _ON_USER}
    named = [
        (f"{method} {path}", name, value)
        for method, path in OPERATIONS
        for name, value in known.items()
        if f"{{{name}}}" in path and method != "DELETE"
    ]
    return "\n".join(
        f'[[operations]]\ninclude-name = "{operation}"\nparameters = {{ {name} = "{value}" }}\n'
        for operation, name, value in named
    )


async def test_the_published_names_have_each_of_these_paths() -> None:
    recorded = (admin_api.FILE.parent / "published-names.txt").read_text(encoding="utf-8")
    for method, path in OPERATIONS:
        assert f"endpoint {method} /api{path} " in recorded
