"""The page of granted access has bounds, whatever a user has granted, and says where it leaves something out."""

import pytest
from markupsafe import escape

from gateway.pages.granted_access_view import GrantedAccessGroup, GrantedAccessRow, GrantedAccessView
from gateway.pages.markup_size import markup_size
from gateway.scopes.describe_scope import describe_scope
from gateway.scopes.format_scopes import format_scope
from gateway.scopes.model import Scope
from gateway.scopes.parse_scopes import parse_scopes
from gateway.smart_server.portal import granted_access
from gateway.smart_server.portal.granted_access import shown_scopes
from tests.pages.rendering import render

SCOPES = parse_scopes(" ".join(f"patient/*.rs?_tag=http://x|{number}" for number in range(298))).scopes
QUOTES = parse_scopes(" ".join(f"patient/*.rs?_tag={chr(39) * 900}{number}" for number in range(30))).scopes


@pytest.mark.parametrize("scopes", [SCOPES, QUOTES], ids=["many scopes", "long scopes"])
def test_the_page_is_small_however_much_was_granted(scopes: tuple[Scope, ...]) -> None:
    rows = granted_access._MAX_ROWS
    sentences, texts = shown_scopes(scopes, granted_access._SENTENCES_BYTES // rows)
    row = GrantedAccessRow("g" * 43, "2026-01-01 10:00 UTC", "", "", sentences, texts)
    group = GrantedAccessGroup("A" * 60, "Amelia" * 10, (row,), "w" * 120)
    view = GrantedAccessView("https://gw.example/auth/manage", "c" * 43, "Amelia", "/out", (group,) * rows)
    assert len(render(view)) <= 200_000


def test_what_fits_is_said_and_what_does_not_is_counted() -> None:
    everything = tuple(map(describe_scope, SCOPES))
    texts = tuple(map(format_scope, SCOPES))
    assert shown_scopes(SCOPES, 90_000) == (everything, texts)
    some, some_texts = shown_scopes(SCOPES, 2000)
    assert some[:-1] == everything[: len(some) - 1]
    assert some[-1] == f"And {298 - len(some) + 1} more that the app asked you for."
    assert some_texts == texts[: len(some) - 1]


def test_a_patient_reads_your_and_nothing_twice() -> None:
    sentences, texts = shown_scopes(parse_scopes("fhirUser profile patient/Goal.r").scopes, 9000, is_own_record=True)
    assert sentences == ("Know which record on this server is your own.", "Read your goals.")
    assert texts == ("fhirUser", "profile", "patient/Goal.r")


@pytest.mark.parametrize("text", ["plain", "'\"<>&" * 9, "ä\u202e", "half a pair \ud800"])
def test_a_text_takes_no_more_than_was_reckoned(text: str) -> None:
    assert len(str(escape(text)).encode("utf-8", "replace")) <= markup_size(text)
