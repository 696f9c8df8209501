"""The quick reading of a page agrees with a plain one, however the server writes its JSON, and hides no attack."""

import json
import re
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.resources.bundle import read_bundle, write_bundle
from gateway.fhir.resources.resource import (
    MalformedResourceError,
    check_utf8,
    may_hold_resources,
    read_resource,
    remove_white_space,
)
from tests.fhir.resources.slow_reading import Members, compact_members, read_slowly

Style = Callable[[str], str]

PATIENT = '{"resourceType":"Patient","id":"B"}'
NARRATIVE = '"text":{"status":"generated","div":"\\u003cdiv class=\\"x\\"\\u003eM\\u00fcller \\u0026amp; S\\u00F6hne"}'
GOOD = f'{{"resourceType":"Observation","id":"o","subject":{{"reference":"Patient/A"}},{NARRATIVE}}}'
TWICE = GOOD[:-1] + ',"subject":{"reference":"Patient/B"}}'
NESTED = GOOD[:-1] + f',"hasMember":[{{"resource":{PATIENT}}}]}}'
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*"|[{}\[\],:])')

WHITE_SPACE: dict[str, Style] = {
    "compact": lambda text: text,
    "pretty": lambda text: msgspec.json.format(text, indent=2),
    "with spaces after colons": lambda text: _TOKEN.sub(lambda token: ": " if token[0] == ":" else token[0], text),
    "with white space everywhere": lambda text: "\r\n" + _TOKEN.sub("\t\\1 \r\n ", text),
    "with a line feed at the end": lambda text: text + "\n",
    "with white space only within": lambda text: text.replace('"entry":', '"entry": '),
}
STYLES = WHITE_SPACE | {"with every slash escaped": lambda text: text.replace("/", "\\/")}


def page_of(*resources: str, envelope: str = "") -> str:
    """A page of these resources, with these members beside `entry`."""
    entries = ",".join(
        f'{{"fullUrl":"http://s/{number}","resource":{resource},"search":{{"mode":"match"}}}}'
        for number, resource in enumerate(resources)
    )
    return f'{{"resourceType":"Bundle","type":"searchset"{envelope},"entry":[{entries}]}}'


def read_quickly(body: bytes) -> list[Members | None]:
    """The entries as `read_slowly` gives them."""
    resources = [entry.resource for entry in read_bundle(remove_white_space(body)).entry]
    return [None if members is None else compact_members(members) for members in resources]


def spellings(name: str) -> Iterator[str]:
    """The name with one letter escaped: each letter, with both cases of the hexadecimal digits."""
    for at, digits in product(range(len(name)), ("04x", "04X")):
        yield f"{name[:at]}\\u{ord(name[at]):{digits}}{name[at + 1 :]}"


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("spelling", list(dict.fromkeys(spellings("resourceType"))))
def test_no_spelling_of_the_name_hides_a_resource(spelling: str, style: Style) -> None:
    attack = NESTED.replace(PATIENT, PATIENT.replace("resourceType", spelling))
    for text in (style(attack).encode(), remove_white_space(style(attack).encode())):
        with pytest.raises(MalformedResourceError):
            read_resource(text)
    assert [bool(members) for members in read_quickly(style(page_of(GOOD, attack, GOOD)).encode())] == [1, 0, 1]


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("decoy", ["Bundle", "Observation", "Basic"])
@pytest.mark.parametrize("spelling", ["resourceTyp\\u0065", "\\u0072esource\\u0054ype"])
def test_an_escaped_name_elsewhere_makes_no_room_for_a_resource(spelling: str, decoy: str, style: Style) -> None:
    text = page_of(NESTED, '{"resourceType":"Basic","id":"b"}')
    text = text.replace(f'"resourceType":"{decoy}"', f'"{spelling}":"{decoy}"', 1)
    assert read_quickly(style(text).encode())[0] == {}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("attack", [TWICE, TWICE.replace('"subject"', '"\\u0073ubject"', 1), NESTED])
@pytest.mark.parametrize(
    "envelope",
    [
        "",
        ',"link":[{"relation":"self","url":"http:\\/\\/s?a=1\\u0026b=2"}]',
        ',"signature":{"type":[]},"total":7',
        ',"total":7,"total":8',
        ',"timestamp":null',
    ],
    ids=["nothing", "links with escapes", "members that are not read", "a member twice", "an empty member"],
)
def test_an_attack_is_left_out_alone_whatever_stands_around_it(envelope: str, attack: str, style: Style) -> None:
    body = style(page_of(GOOD, attack, GOOD, envelope=envelope)).encode()
    assert [bool(members) for members in read_quickly(body)] == [1, 0, 1]


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_of_two_resources_in_an_entry_that_one_is_checked_which_is_kept(style: Style) -> None:
    for kept, other in ((TWICE, GOOD), (GOOD, TWICE)):
        text = page_of(kept).replace('"resource":', f'"resource":{other},"resource":', 1)
        assert bool(read_quickly(style(text).encode())[0]) == (kept == GOOD)


@pytest.mark.parametrize(
    "text", ['"\\u003cb\\u003e \\u0026 \\u0022 \\u0027 \\u002b \\u00f6 \\u007f \\u005c \\/ \\"x\\""']
)
def test_what_encoders_escape_is_no_reason_to_look_closer(text: str) -> None:
    assert not may_hold_resources(text.encode(), 0)


MALFORMED = {
    "text after the end": '{ "resourceType": "Bundle", "type": "searchset" } x',
    "a second value": '{ "resourceType": "Bundle", "type": "searchset" }\n{}',
    "a comma too many": '{ "resourceType": "Bundle", "type": "searchset", }',
    "an open object": '{ "resourceType": "Bundle", "type": "searchset"',
    "a form feed at the end": '{"resourceType":"Bundle","type":"searchset"}\f',
    "a mark of the byte order": '\ufeff{ "resourceType": "Bundle", "type": "searchset" }',
    "no white space of JSON": '{\u00a0"resourceType": "Bundle", "type": "searchset" }',
    "a number with a zero in front": '{ "resourceType": "Bundle", "type": "searchset", "x": 01 }',
    "no number": '{ "resourceType": "Bundle", "type": "searchset", "x": NaN }',
    "two numbers": '{ "resourceType": "Bundle", "type": "searchset", "x": 1 2 }',
    "a line feed in a string": '{ "resourceType": "Bundle", "type": "searchset", "x": "\n" }',
    "an escape that JSON does not have": '{ "resourceType": "Bundle", "type": "searchset", "x": "\\x41" }',
    "deep nesting": '{ "resourceType": "Bundle", "type": "searchset", "x": ' + "[ " * 200_000 + "]" * 200_000 + " }",
    "deep nesting in a resource": page_of(f'{{ "a": {"[ " * 200_000}{"]" * 200_000} }}'),
    "nothing": "",
    "only white space": " \n",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_white_space_makes_nothing_readable_that_is_no_json(text: str) -> None:
    for body in (text, " " + text, text.replace(" ", "", 1)):
        with pytest.raises(MalformedResourceError):
            read_bundle(remove_white_space(body.encode()))


def test_what_is_not_utf_8_is_refused_before_white_space_is_removed() -> None:
    with pytest.raises(MalformedResourceError):
        check_utf8(WHITE_SPACE["pretty"](page_of(GOOD)).encode().replace(b"amp;", b"\xfc"))


numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
# Without escaped letters: a value with one is looked at closer, and may be refused for a number beyond any float.
strings = st.from_regex(r'"([A-Za-z ,:ö{}\[\]]|\\["\\/bfnrt]|\\u00[0-389a-fA-F][0-9a-fA-F])*"', fullmatch=True)


@given(st.lists(numbers | strings, max_size=6), st.sampled_from(list(WHITE_SPACE.values())))
def test_numbers_and_strings_leave_as_the_text_that_came(literals: list[str], style: Style) -> None:
    resource = f'{{"resourceType":"Basic","id":"a","extension":[{",".join(literals)}]}}'
    body = style(page_of(resource)).encode()
    written = write_bundle("searchset", links=[], entries=read_bundle(remove_white_space(body)).entry).decode()
    assert msgspec.json.format(written, indent=-1).count(resource) == 1
    assert read_resource(remove_white_space(style(resource).encode()))[1].decode().count(",".join(literals)) >= 1


names = st.sampled_from(["resourceType", "contained", "id", "a", "ö", "b c", '"', "\\", "\u2028", "subject"])
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | names | st.text(max_size=6)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)
resources = st.lists(st.tuples(names, values), max_size=5)
_ESCAPES: list[Callable[[str], str]] = [
    lambda text: json.dumps(text, ensure_ascii=False),
    json.dumps,
    lambda text: re.sub("[<>&'/o]", lambda letter: f"\\u{ord(letter[0]):04X}", json.dumps(text)),
    lambda text: json.dumps(text).replace("/", "\\/"),
]
escapes = st.sampled_from(_ESCAPES)


def write_value(value: Any, escape: Callable[[str], str]) -> str:
    """The value as JSON without white space, its strings and names written by `escape`."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, list):
        return f"[{','.join(write_value(item, escape) for item in value)}]"
    if isinstance(value, dict):
        return write_members(list(value.items()), escape)
    return json.dumps(value)


def write_members(pairs: list[tuple[str, Any]], escape: Callable[[str], str]) -> str:
    """The members as a JSON object, also those that stand twice."""
    return f"{{{','.join(f'{escape(name)}:{write_value(value, escape)}' for name, value in pairs)}}}"


@st.composite
def pages(draw: st.DrawFn) -> bytes:
    """A page of random resources, each with a style of escapes, and white space of one style."""
    written = [write_members(pairs, draw(escapes)) for pairs in draw(st.lists(resources, max_size=4))]
    envelope = draw(st.sampled_from(["", ',"total":1', ',"link":[]', ',"x":{"resourceType":1}', ',"x":"\\u0065"']))
    text = draw(st.sampled_from(list(WHITE_SPACE.values())))(page_of(*written, envelope=envelope))
    return text.encode("utf-8", "replace")


def typed(read: list[Members | None]) -> list[Members | None]:
    """The entries, without the members of those that name no type, since no judge keeps them."""
    return [{} if members is not None and "resourceType" not in members else members for members in read]


@given(pages())
def test_every_page_is_read_as_the_plain_way_reads_it(body: bytes) -> None:
    assert typed(read_quickly(body)) == typed(read_slowly(body))


@given(pages(), st.data())
def test_what_is_left_of_a_damaged_page_is_what_the_plain_way_leaves(body: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        piece = data.draw(st.sampled_from([b"", b" ", b'"', b"\\", b"{", b"}", b",", b":", b"\\u0065", b"e", b"\xff"]))
        body = body[:at] + piece + body[at + data.draw(st.integers(0, 2)) :]
    try:
        check_utf8(body)
        quick_entries = typed(read_quickly(body))
    except MalformedResourceError:
        return
    slow_entries = typed(read_slowly(body))
    assert all(quick in ({}, slow) for quick, slow in zip(quick_entries, slow_entries, strict=True))
