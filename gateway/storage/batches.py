"""Many operations of the store at once, but not so many that the last ones wait too long for their turn."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

_Argument = TypeVar("_Argument")
_Result = TypeVar("_Result")
# A store limits its connections, and an operation that waits for one for seconds counts as failed.
_BATCH_SIZE = 16


async def run_in_batches(
    operation: Callable[[_Argument], Awaitable[_Result]], arguments: Iterable[_Argument]
) -> list[_Result]:
    """The results of the operation for each argument, in their order."""
    waiting, results = list(arguments), list[_Result]()
    for start in range(0, len(waiting), _BATCH_SIZE):
        results += await asyncio.gather(*map(operation, waiting[start : start + _BATCH_SIZE]))
    return results
