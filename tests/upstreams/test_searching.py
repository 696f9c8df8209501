"""Searches: what is asked is found, page by page to the end, and nothing else is."""

import pytest

from tests.gateway.marks import resources_in
from tests.upstreams.asking import FORM, Front
from tests.upstreams.searches import SEARCHES, Search

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("search", SEARCHES, ids=[search.sentence for search in SEARCHES])
async def test_it_finds(front: Front, search: Search) -> None:
    options = {} if search.form is None else {"method": "POST", "content": search.form, "headers": FORM}
    answers = await front.pages(search.path, search.grant, **options)
    matches, includes = (front.found(answers, mode) for mode in ("match", "include"))
    if front.upstream.lacks.keys().isdisjoint(search.needs):
        assert [answer.status_code for answer in answers] == [200] * len(answers)
        assert matches == front.expected(search.matches)
        assert includes == front.expected(search.includes)
        assert any(resources_in(answer, "outcome") for answer in answers) == search.left_out
    else:
        assert answers[0].status_code in {200, 400}
        assert matches <= front.expected(search.matches)
        assert includes <= front.expected(search.includes)
