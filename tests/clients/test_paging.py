"""Listings stream and end."""

import pytest

from impactflow.clients.paging import Page, follow, items
from impactflow.errors import Unavailable


async def test_a_page_is_fetched_only_when_the_one_before_was_used():
    """Memory holds one page, however many there are."""
    fetched = []

    async def fetch(name):
        fetched.append(name)
        return Page([len(fetched)], str(len(fetched)))

    pages = follow(fetch, provider="p", operation="o")
    assert ([[1], [2]], [None, "1"]) == ([(await anext(pages)).items for _ in range(2)], fetched)


async def test_a_listing_goes_on_where_another_reader_stopped():
    """From the name of the page after the last that was read, item by item."""

    async def fetch(name):
        number = int(name or 0)
        return Page([number, -number], str(number + 1) if number < 3 else None)

    assert [2, -2, 3, -3] == [item async for item in items(follow(fetch, "2", provider="p", operation="o"))]


@pytest.mark.parametrize("circle", [1, 2, 3])
async def test_a_circle_of_pages_is_an_error(circle):
    """However many pages it goes over."""
    count = 0

    async def fetch(_name):
        nonlocal count
        count += 1
        return Page([], str(count % circle))

    with pytest.raises(Unavailable):
        [page async for page in follow(fetch, provider="p", operation="o")]
    assert circle + 1 == count
