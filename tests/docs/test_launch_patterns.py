"""The commands of docs/launch-patterns.md run in their order, with a user at a browser in between."""

import pytest

from tests.docs.terminal import Shell, runnable_blocks
from tests.smart_server.person_in_browser import Person

pytestmark = [pytest.mark.asyncio, pytest.mark.sekmet]


async def test_the_page_can_be_followed_from_top_to_bottom(shell: Shell) -> None:
    blocks = runnable_blocks("launch-patterns.md")
    register, request, exchange, use, explain, ehr_launch, vendor_launches, service, assertion = blocks
    assert '"client_id": "my-app"' in shell.run(register)
    url = shell.run(request).strip()
    person = Person(shell.environment["GATEWAY"])
    page = await person.sign_in(await person.open(url))
    page = await person.agree(await person.choose_patient(page, "pat-a"))
    await person.aclose()
    shell.variables["CODE"] = page.parameters["code"]
    assert '"patient":"pat-a"' in shell.run(exchange)
    search_and_refresh = shell.run(use)
    assert '"resourceType":"Bundle"' in search_and_refresh
    assert '"refresh_token":"sgr_' in search_and_refresh
    explanation = shell.run(explain)
    assert "search_by_id_only" in explanation
    assert "pat-a" in explanation
    assert '"location":"http://127.0.0.1:9999/launch?iss=' in shell.run(ehr_launch)
    responses = shell.run(vendor_launches)
    assert "302" in responses
    assert '"launch-uri":"http://127.0.0.1:9999/launch"' in responses
    assert '"my-service"' in shell.run(service)
    token_response = shell.run(assertion)
    assert '"expires_in":300' in token_response
    assert '"scope":"system/Patient.rs"' in token_response
