"""A record that is about the patient shows a Binary only by an attachment that somebody else has put there."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.proxy.running_gateway import RunningGateway, running_gateway
from tests.proxy.writing.binary_server import BinaryServer, binary, binary_server, document, fill_with_binaries
from tests.proxy.writing.writes import EVERYTHING, reason_of, write
from tests.servers.people import Resource

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pair = tuple[RunningGateway, BinaryServer]
HIDDEN = "Binary/hidden"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """A gateway in front of a server with a Binary without an owner, which only the other patient's document shows."""
    async with (
        binary_server() as server,
        running_gateway(server.base_url, tmp_path_factory.mktemp("attached")) as gateway,
    ):
        fill_with_binaries(server)
        server.put(binary(None, "hidden"))
        server.put({**document(HIDDEN, "pat-b"), "id": "of-another"})
        assert (await gateway.request("/metadata", None)).status_code == 200
        yield gateway, server


def own(*urls: str, **elements: Any) -> Resource:
    content = [{"attachment": {"url": url}} for url in urls]
    return document("", "pat-a", id="own", **{"content": content, **elements})


MENTIONS: dict[str, tuple[Resource, Resource]] = {
    "a reference": (
        own(context={"related": [{"reference": HIDDEN}]}),
        own(HIDDEN, context={"related": [{"reference": HIDDEN}]}),
    ),
    "a member whose name ends like that of a reference": (own(**{'x"reference': HIDDEN}), own(HIDDEN)),
    "an attachment of an extension": (
        own(extension=[{"url": "urn:x", "valueAttachment": {"url": HIDDEN}}]),
        own(HIDDEN, extension=[{"url": "urn:x", "valueAttachment": {"url": HIDDEN}}]),
    ),
    "another version": (own(f"{HIDDEN}/_history/9"), own(HIDDEN)),
    "the version without its number": (own(HIDDEN), own(f"{HIDDEN}/_history/1")),
    "nothing": (own(), own(HIDDEN)),
}


@pytest.mark.parametrize(("stored", "new"), MENTIONS.values(), ids=MENTIONS)
async def test_an_attachment_is_new_where_there_was(pair: Pair, stored: Resource, new: Resource) -> None:
    """leak_35"""
    gateway, server = pair
    server.put(stored)
    server.take_writes()
    response = await write(gateway, "PUT", "/DocumentReference/own", new)
    assert reason_of(response) == "reference_out_of_reach"
    assert server.take_writes() == []
    assert server.records["DocumentReference", "own"].get("content") == stored["content"]


@pytest.mark.parametrize("name", [HIDDEN, f"{HIDDEN}/_history/1"])
async def test_what_is_attached_already_may_stay(pair: Pair, name: str) -> None:
    gateway, server = pair
    related = {"related": [{"reference": HIDDEN}]}
    server.put(own("Binary/of-a", name, context=related))
    new = own(f"{gateway.base_url}/{name}", "Binary/of-a", context=related, description="x")
    response = await write(gateway, "PUT", "/DocumentReference/own", new)
    assert response.status_code == 200, response.text


async def test_what_a_record_only_refers_to_is_not_shown(pair: Pair) -> None:
    gateway, server = pair
    server.put(own(context={"related": [{"reference": HIDDEN}]}))
    assert (await gateway.request("/Binary/hidden", EVERYTHING)).status_code == 404
