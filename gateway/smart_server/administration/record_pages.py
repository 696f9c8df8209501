"""Long lists of records, page by page: however many there are, each page reads only some."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.storage.batches import run_in_batches

PAGE_SIZE = 50
"""How many records a page has unless it says otherwise."""
_MAX_READ = 500

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class RecordPage(Generic[Record]):
    """Some of the records in the order of their ids. `next_after` is where the next page starts; empty on the last.

    A search may end a page early, even with no record at all, so that it reads a bounded number.
    """

    records: tuple[Record, ...]
    next_after: str


async def read_page(
    ids: Iterable[str],
    read: Callable[[str], Awaitable[Record | None]],
    *,
    fits: Callable[[Record], bool] = lambda _: True,
    after: str = "",
    limit: int = PAGE_SIZE,
) -> RecordPage[Record]:
    """The records that fit, of the ids behind `after`. What `read` returns None for has ended meanwhile."""
    waiting = sorted(candidate for candidate in ids if candidate > after)
    found: list[Record] = []
    position = 0
    while position < min(len(waiting), _MAX_READ):
        batch = waiting[position : position + limit]
        for candidate, record in zip(batch, await run_in_batches(read, batch), strict=True):
            position += 1
            if record is not None and fits(record):
                found.append(record)
            if len(found) == limit:
                return RecordPage(tuple(found), candidate if position < len(waiting) else "")
    return RecordPage(tuple(found), waiting[position - 1] if position < len(waiting) else "")
