"""Searches followed from page to page, as an app does."""

from tests.proxy.leaked_marks import ids_in
from tests.proxy.running_gateway import RunningGateway


async def ids_on_all_pages(gateway: RunningGateway, path: str, scope: str = "patient/*.rs") -> set[str]:
    """What a search finds on all of its pages."""
    found: set[str] = set()
    next_path: str | None = path
    while next_path is not None:
        response = (await gateway.request(next_path, scope)).raise_for_status()
        found |= ids_in(response)
        links = {link["relation"]: link["url"] for link in response.json()["link"]}
        next_path = links["next"].removeprefix(gateway.base_url) if "next" in links else None
    return found
