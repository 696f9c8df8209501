"""Long lists of records, page by page."""

import pytest

from gateway.smart_server.administration.record_pages import RecordPage, read_page

IDS = [f"{number:04}" for number in range(2000)]


class Records:
    """Records that count how many of them were read. Some have ended, though their ids are still listed."""

    def __init__(self, ended: frozenset[str] = frozenset()) -> None:
        self.reads = 0
        self._ended = ended

    async def read(self, record_id: str) -> str | None:
        self.reads += 1
        return None if record_id in self._ended else f"record {record_id}"


@pytest.mark.parametrize(
    ("count", "limit"),
    [
        pytest.param(0, 50, id="none"),
        pytest.param(49, 50, id="less than a page"),
        pytest.param(50, 50, id="one full page"),
        pytest.param(51, 50, id="one more"),
        pytest.param(200, 7, id="many small pages"),
    ],
)
async def test_every_record_is_on_one_page_in_the_order_of_the_ids(count: int, limit: int) -> None:
    records, found, after = Records(), list[str](), ""
    while True:
        page: RecordPage[str] = await read_page(set(IDS[:count]), records.read, after=after, limit=limit)
        assert len(page.records) <= limit
        found += page.records
        if not page.next_after:
            break
        after = page.next_after
    assert found == [f"record {record_id}" for record_id in IDS[:count]]


async def test_a_search_that_finds_little_reads_a_bounded_number_and_goes_on_where_it_stopped() -> None:
    records, found, after, pages = Records(), list[str](), "", 0
    while True:
        records.reads = 0
        page: RecordPage[str] = await read_page(IDS, records.read, fits=lambda text: text.endswith("999"), after=after)
        assert records.reads <= 500
        found += page.records
        pages += 1
        if not page.next_after:
            break
        after = page.next_after
    assert (found, pages) == (["record 0999", "record 1999"], 4)


async def test_a_page_reads_little_more_than_it_shows() -> None:
    records = Records(ended=frozenset(IDS[:10]))
    page: RecordPage[str] = await read_page(IDS, records.read, limit=50)
    assert (page.records[0], len(page.records), page.next_after) == ("record 0010", 50, "0059")
    assert records.reads <= 100
