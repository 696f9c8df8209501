"""The admin pages while the store does not answer: a page that says so, and nothing is changed."""

import pytest

from tests.admin.pages.what_pages_show import heading, main_text
from tests.admin.running_admin import run_admin
from tests.servers import valkey

pytestmark = [pytest.mark.sekmet]


async def test_a_store_that_is_gone_is_a_page_with_advice(fhir_server: str) -> None:
    with valkey.standalone() as stored:

        def change(settings: dict[str, object]) -> None:
            settings["smart_server"]["store"] = stored.url  # type: ignore[index]

        async with run_admin(fhir_server, change=change) as admin:
            operator = await admin.sign_in()
            assert heading(await admin.open(operator, "/")) == "Overview"
            stored.nodes[0].kill()
            page = await admin.open(operator, "/clients")
            assert (page.status, heading(page)) == (503, "Please wait a little")
            assert page.headers["retry-after"]
            assert "The store of the gateway does not answer." in main_text(page)
