"""How often a password or a token may be wrong at the admin port, and whom that does not concern."""

from typing import Any

import httpx2
import pytest

from tests.admin.running_admin import AUDITOR, OPERATOR, PASSWORD, RunningAdmin, run_admin

pytestmark = pytest.mark.sekmet

TRIES = 3


def _few_tries(settings: dict[str, Any]) -> None:
    settings["smart_server"] |= {"login_attempts": TRIES, "rate_limits": {"wrong_secrets": TRIES}}


async def _sign_in(admin: RunningAdmin, name: str, password: str) -> httpx2.Response:
    body = {"name": name, "password": password}
    return await admin.server.http.post(f"{admin.url}/api/session", json=body)


async def test_wrong_passwords_and_tokens_are_not_tried_without_end(fhir_server: str) -> None:
    async with run_admin(fhir_server, change=_few_tries) as admin:
        for number in range(TRIES):
            assert (await _sign_in(admin, OPERATOR, f"wrong {number}")).status_code == 401
            assert (await admin.call("GET", "/keys", token=f"wrong-{number}")).status_code == 401
        slowed_down = await _sign_in(admin, OPERATOR, PASSWORD)
        assert (slowed_down.status_code, slowed_down.json()["code"]) == (429, "too_many_requests")
        assert int(slowed_down.headers["retry-after"]) > 0
        wrong_again = await admin.call("GET", "/keys", token="wrong-again")
        assert (wrong_again.status_code, wrong_again.json()["code"]) == (429, "too_many_requests")
        assert (await admin.call("GET", "/keys")).status_code == 200, "the right token is another account"
        assert (await _sign_in(admin, AUDITOR, PASSWORD)).status_code == 201, "and so is another name"
        reasons = [event.reason for event in admin.server.telemetry.events if event.kind == "rate_limited"]
        assert reasons == ["administrator_guesses", "administrator_guesses"]
