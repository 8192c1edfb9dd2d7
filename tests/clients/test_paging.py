"""Listings stream and end."""

import pytest

from impactflow.clients.paging import follow
from impactflow.errors import Unavailable


async def test_a_page_is_fetched_only_when_the_one_before_was_used():
    """Memory holds one page, however many there are."""
    fetched = []

    async def fetch(name):
        fetched.append(name)
        return len(fetched)

    pages = follow(fetch, str, provider="p", operation="o")
    assert ([1, 2], [None, "1"]) == ([await anext(pages), await anext(pages)], fetched)


@pytest.mark.parametrize("circle", [1, 2, 3])
async def test_a_circle_of_pages_is_an_error(circle):
    """However many pages it goes over."""
    count = 0

    async def fetch(_name):
        nonlocal count
        count += 1
        return count

    with pytest.raises(Unavailable):
        [page async for page in follow(fetch, lambda page: str(page % circle), provider="p", operation="o")]
    assert circle + 1 == count
