"""Searches: what is asked is found, page by page to the end, and nothing else is."""

import httpx2
import pytest

from tests.gateway.marks import resources_in
from tests.upstreams.asking import FORM, Front
from tests.upstreams.searches import SEARCHES, Search
from tests.upstreams.stored import literal

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("search", SEARCHES, ids=[search.sentence for search in SEARCHES])
async def test_it_finds(front: Front, search: Search) -> None:
    options = {} if search.form is None else {"method": "POST", "content": search.form, "headers": FORM}
    answers = await front.pages(search.path, search.grant, **options)
    matches, includes = ([one for answer in answers for one in found(answer, mode)] for mode in ("match", "include"))
    assert len(matches) == len(set(matches)), "a match came twice"
    if front.upstream.lacks.keys().isdisjoint(search.needs):
        assert [answer.status_code for answer in answers] == [200] * len(answers)
        assert set(matches) == front.expected(search.matches)
        assert set(includes) == front.expected(search.includes)
        assert any(resources_in(answer, "outcome") for answer in answers) == search.left_out
    else:
        assert answers[0].status_code in {200, 400}
        assert set(matches) <= front.expected(search.matches)
        assert set(includes) <= front.expected(search.includes)


def found(answer: httpx2.Response, mode: str) -> list[str]:
    """`Type/id` of each entry of that mode, with repetitions."""
    return [literal(one) for one in resources_in(answer, mode)] if answer.status_code == 200 else []
