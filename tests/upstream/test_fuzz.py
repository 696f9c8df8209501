"""Runs the fuzz target for some seconds with seeded mutations of the responses of the other tests."""

import random
import time

import pytest

from tests.upstream.fuzz_http_responses import FuzzCase, Fuzzer
from tests.upstream.raw_server import HELLO, OK
from tests.upstream.test_responses import CHUNKED, LOST, NOT_REUSABLE, REUSABLE
from tests.upstream.test_smuggling import CONTINUED, HOSTILE, TO_HEAD

SECONDS = 5.0
KNOWN = [value for parameter in (*REUSABLE, *NOT_REUSABLE, *LOST) for value in parameter.values]
SEEDS = [
    *(data for data in (HOSTILE | CONTINUED | TO_HEAD).values() if len(data) < 2000),
    *(value for value in KNOWN if isinstance(value, bytes)),
]
WORDS = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b":", b",", b";", b"\0", b"\xff", b"0", b"1", b"f", b"-", b"+",
    b"content-length: ", b"transfer-encoding: ", b"chunked", b"connection: close\r\n", b"connection: keep-alive\r\n",
    b"HTTP/1.0", b"HTTP/1.1 ", b"100", b"101", b"103", b"204", b"304", b"999", b"0\r\n\r\n", b"upgrade: x\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n", OK, HELLO, CHUNKED, b"Content-Length: 5\r\n", b"5\r\nhello\r\n",
]  # fmt: skip


def mutate(chance: random.Random, data: bytes) -> bytes:
    for _ in range(chance.choice((0, 1, 1, 2, 3, 5))):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((0, 1, 1, 2, 4, 16)))
        match chance.randrange(5):
            case 0:
                middle = b""
            case 1:
                middle = chance.choice(WORDS)
            case 2:
                middle = bytes((chance.randrange(256),))
            case 3:
                middle = data[start:end] * 2
            case _:
                other = chance.choice(SEEDS)
                at = chance.randrange(len(other) + 1)
                middle = other[at : at + 40]
        data = data[:start] + middle + data[end:]
    return data


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_comes_back_an_exchange_ends_once_and_leaves_nothing_behind(seed: int) -> None:
    chance, fuzzer = random.Random(seed), Fuzzer()
    stop = time.monotonic() + SECONDS / 2
    octets = b""
    count = 0
    try:
        while time.monotonic() < stop:
            how = bytes((chance.randrange(12), chance.choice((0, 0, 1, 2, 3, 7, 16, 33))))
            octets = how + mutate(chance, chance.choice(SEEDS))
            fuzzer.run_input(octets)
            count += 1
    except Exception as error:
        raise AssertionError(f"The invariant does not hold for {octets!r} ({FuzzCase.parse(octets)})") from error
    finally:
        fuzzer.close()
    assert count > 100


@pytest.mark.fuzz
def test_the_target_notices_what_it_is_for() -> None:
    """A well-formed response is accepted in every way of delivery and ending."""
    fuzzer = Fuzzer()
    for how in range(12):
        for step in range(8):
            fuzzer.run_input(bytes((how, step)) + HELLO)
    fuzzer.close()
