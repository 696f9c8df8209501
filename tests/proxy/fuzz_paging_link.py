"""Invariant: whatever the handle and whoever asks, a sealed page opens only for the very text that was sealed, the
grant it was sealed for and a moment before its end, and then it is the very page; else the answer is None, never an
error.

Run it with `python -m tests.proxy [libFuzzer options]`.
"""

import random
from dataclasses import replace

from gateway.fhir.reference import Reference
from gateway.policy.paging_link import SealedPage, Sealer
from gateway.policy.permission.access import Access

NOW = 1_700_000_000
KEY = b"a key of thirty-two bytes, or so"
ACCESS = Access("https://issuer.example", "app", "someone", (), 0.0, "pat-a", None, None, "patient/*.rs")
OTHERS = (
    replace(ACCESS, patient="pat-b"),
    replace(ACCESS, patient=None),
    replace(ACCESS, client_id="other"),
    replace(ACCESS, subject=None),
    replace(ACCESS, issuer="https://issuer.example/"),
    replace(ACCESS, user=Reference("Patient", "pat-a")),
    replace(ACCESS, scope_text="patient/*.r"),
)
PAGES = (
    SealedPage("/Observation", "_count=5", "/Observation?page=2", NOW + 60),
    SealedPage("", "", "?_getpages=a1b2&_getpagesoffset=10", NOW + 60),
    SealedPage("/Patient/pat-a/Observation", "code=%C3%A4", "/Observation?x=\u00e4\U0001f600", NOW + 1),
    SealedPage("/Observation", "x" * 2000, "/Observation", NOW),
    SealedPage("/Observation", "_count=5", "/Observation?page=2", NOW + 60, 3),
)
SEALER = Sealer(KEY)
SEALED = {SEALER.seal(page, ACCESS): page for page in PAGES}
SEEDS = tuple(handle.encode() for handle in SEALED)


def check(data: bytes) -> None:
    """One input: the handle as UTF-8, what is not UTF-8 as lone surrogates."""
    handle = data.decode("utf-8", "surrogateescape")
    sealed_page = SEALED.get(handle)
    expected = sealed_page if sealed_page is not None and sealed_page.expires_at > NOW else None
    assert SEALER.open(handle, ACCESS, NOW) == expected, "an unknown text opens, or a known one does not"
    for other in OTHERS:
        assert SEALER.open(handle, other, NOW) is None, "another grant opens it"
    assert Sealer(KEY + b"x").open(handle, ACCESS, NOW) is None, "another key opens it"
    assert SEALER.open(handle, ACCESS, NOW + 61) is None, "it opens after its end"


PIECES = (*(bytes([byte]) for byte in b"=-_+/AZaz09 .~%\x00\xff"), b"==", b"\xc3\xa4", b"%3D")


def mutated(chance: random.Random) -> bytes:
    """A handle, or the halves of two, with some bytes gone, changed or put in; often at its end."""
    one, other = chance.choices(SEEDS, k=2)
    text = bytearray(one if chance.random() < 0.7 else one[: len(one) // 2] + other[len(other) // 2 :])
    for _ in range(chance.randint(0, 4)):
        place = len(text) - chance.randint(0, 2) if chance.random() < 0.4 else chance.randrange(len(text) + 1)
        match chance.randrange(3):
            case 0:
                del text[place : place + chance.randint(1, 4)]
            case 1:
                text[place:place] = chance.choice(PIECES)
            case _:
                text[place : place + 1] = bytes([chance.randrange(128)])
    return bytes(text)
