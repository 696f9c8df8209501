"""A chain shows whatever was done to its records, in plain words."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.audit_events.chain import Chain
from gateway.telemetry.audit_events.unsealed_event import UnsealedEvent
from gateway.telemetry.audit_events.verify_chains import BrokenLink, Line, verify_chains

KEY, OTHER_KEY = b"a key of the chain", b"another key"


def event(number: int) -> UnsealedEvent:
    return UnsealedEvent(b'"action":"R"', "2026-01-01T00:00:00.000Z", b'"agent":[]', b'{"name":"n%d"}' % number)


def records(count: int, key: bytes | None = None, chain: Chain | None = None) -> list[bytes]:
    chain = chain or Chain.start(key)
    return [chain.seal(event(number), 0) for number in range(count)]


def verify(lines: list[bytes], *keys: bytes) -> BrokenLink | None:
    return verify_chains((Line("f", number, line) for number, line in enumerate(lines, start=1)), keys)[1]


def forged(line: bytes) -> bytes:
    return line.replace(b'"action":"R"', b'"action":"D"')


# What is done to six records of a chain, and what is said of it.
DEEDS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str | None]] = {
    "nothing": (lambda lines: lines, None),
    "the beginning is missing": (lambda lines: lines[2:], "begins with record 3; earlier ones are missing"),
    "records come again": (lambda lines: [*lines[:4], *lines[1:]], None),
    "a record is changed": (
        lambda lines: [*lines[:2], forged(lines[2]), *lines[3:]],
        "record 3 is not as it was written: record 4 carries another hash of it",
    ),
    "a record is removed": (lambda lines: [*lines[:2], *lines[3:]], "record 3 is missing"),
    "records are removed": (lambda lines: [*lines[:1], *lines[4:]], "records 2 to 4 are missing"),
    "a record comes again and is another one": (
        lambda lines: [*lines[:4], forged(lines[1]), *lines[4:]], "record 2 comes twice and is not the same",
    ),
    "a line is torn": (
        lambda lines: [*lines[:2], lines[2][:40], *lines[3:]], "this is no record of a chain, or only a part of one",
    ),
    "a line of another kind": (
        lambda lines: [*lines[:2], b"{}", *lines[2:]], "this is no record of a chain, or only a part of one",
    ),
}  # fmt: skip


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "with a key"])
@pytest.mark.parametrize("deed", DEEDS)
def test_what_is_said_of_a_chain(deed: str, key: bytes | None) -> None:
    do, said = DEEDS[deed]
    broken = verify(do(records(6, key)), KEY)
    assert broken is None if said is None else broken is not None and broken.sentence.endswith(said), broken


@given(st.data())
def test_any_other_byte_in_a_record_that_is_not_the_last_is_found(data: st.DataObject) -> None:
    lines = records(4)
    index = data.draw(st.integers(0, 2))
    place = data.draw(st.integers(0, len(lines[index]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value not in {lines[index][place], 10}))
    lines[index] = lines[index][:place] + bytes([byte]) + lines[index][place + 1 :]
    assert verify(lines) is not None


def test_the_beginning_may_be_elsewhere_where_that_is_said() -> None:
    lines = records(6)
    numbered = [Line("f", number, line) for number, line in enumerate(lines[3:] + lines[:3])]
    assert verify_chains(numbered[:3], (), partial=True)[1] is None
    _, broken = verify_chains(numbered, (), partial=True)
    assert broken is not None
    assert broken.sentence.endswith("record 1 comes after record 6; give the files in their order, oldest first")


def test_several_workers_may_be_mixed() -> None:
    one, other = records(3), records(3)
    assert verify([one[0], other[0], other[1], one[1], one[2], other[2]]) is None
    assert verify([one[0], other[0], other[2], one[1]]) is not None


def test_a_chain_with_a_key_needs_that_key_and_is_not_made_anew_without_it() -> None:
    lines = records(3, KEY)
    assert verify(lines, OTHER_KEY, KEY) is None
    assert "a key that was not given" in str(verify(lines, OTHER_KEY))
    # Whoever has no key makes hashes with another one, or with none.
    name = Chain.resume(lines[-1], KEY)
    assert name is not None
    for key in (None, OTHER_KEY):
        assert verify([*records(2, key, Chain(name.name, 0, "", key)), *lines[2:]], KEY) is not None


def test_a_chain_goes_on_only_with_its_own_key() -> None:
    plain, sealed = records(1)[0], records(1, KEY)[0]
    assert Chain.resume(plain, None) is not None
    assert Chain.resume(sealed, KEY) is not None
    assert [Chain.resume(plain, KEY), Chain.resume(sealed, None), Chain.resume(sealed, OTHER_KEY)] == [None] * 3
