"""Orders in: the days that are read, what becomes of an order of Wicked Reports, and pages that shift."""

import logging
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impactflow.clients.wickedreports.models import CountedPage, WickedOrder
from impactflow.errors import ConfigurationError
from impactflow.intake.wickedreports import WickedReportsOrders, order_from_wicked
from impactflow.models import BrokenOrder, Click, Order, Payment, Product
from impactflow.window import Window

TODAY = date(2025, 3, 10)
NOON = datetime(2025, 3, 9, 12, tzinfo=UTC)
WINDOW = Window(date(2025, 3, 9), date(2025, 3, 10))


def wicked(**fields: Any) -> WickedOrder:
    """An order as Wicked Reports gives it, with what it must have."""
    return WickedOrder.model_validate({"id": "WR-1", "sourceId": "1001", "date": NOON} | fields)


def parse(from_text: str | None = None, to_text: str | None = None, *, watermark: date | None = None) -> Window:
    """A window asked for today."""
    return Window.parse(from_text, to_text, today=TODAY, watermark=watermark)


class TestAnOrder:
    def test_it_keeps_what_a_policy_asks_about(self) -> None:
        """Numbers stay as they were written; the rest is dropped."""
        order = wicked(
            sourceSystem="stripe",
            contact={"id": "C-1", "sourceId": "7", "email": " ada@example.com "},
            products=[{"id": "P1", "name": "Zoë's tea", "qty": 2, "PPU": 9.95}, {"name": "cup"}],
            subscriptionId="sub-1",
            attributions={"firstClick": {"campaign": "brand"}, "lastClick": {"source": "google", "campaign": "earth"}},
            payments=[{"status": "APPROVED", "amount": 79.9}, {"status": "Partially Refunded"}, {}],
            amount="79.90",
            currency=" eur ",
        )
        expected = Order(
            id="WR-1",
            names=("wr:WR-1", "src:stripe:1001"),
            ordered_at=NOON,
            amount=Decimal("79.90"),
            currency="EUR",
            item_count=Decimal(3),
            payments=(Payment("APPROVED"), Payment("Partially Refunded"), Payment("")),
            customer_email="ada@example.com",
            products=(
                Product(("P1",), "Zoë's tea", Decimal(2), Decimal("19.90")),
                Product((), "cup", Decimal(1), None),
            ),
            is_subscription=True,
            last_click=Click("google", campaign="earth"),
            reporter="wickedreports stripe",
        )
        assert expected == order_from_wicked(order)

    @pytest.mark.parametrize("missing", [None, "", "  "])
    def test_what_is_not_said_is_none(self, missing: str | None) -> None:
        """An order of nothing but its ids and its day is an order."""
        order = order_from_wicked(wicked(contact={"email": missing}, currency=missing, sourceSystem=missing))
        assert order == Order(
            "WR-1", ("wr:WR-1",), NOON, None, None, None, (), is_subscription=False, reporter="wickedreports"
        )
        assert order == order_from_wicked(wicked())

    @pytest.mark.parametrize(
        ("system", "source_id", "names"),
        [
            ("Stripe", "1001", ("wr:WR-1", "src:stripe:1001")),
            (" stripe ", " 1001 ", ("wr:WR-1", "src:stripe:1001")),
            ("Shopify", "a:b", ("wr:WR-1", "src:shopify:a:b")),
            ("unknown", "1001", ("wr:WR-1",)),
            ("Unknown", "1001", ("wr:WR-1",)),
            ("stripe", "  ", ("wr:WR-1",)),
        ],
    )
    def test_a_source_names_an_order_only_where_it_is_known(
        self, system: str, source_id: str, names: tuple[str, ...]
    ) -> None:
        """Order 1001 of nobody knows whom is nobody's name."""
        assert names == order_from_wicked(wicked(sourceSystem=system, sourceId=source_id)).names

    def test_no_products_are_not_no_items(self) -> None:
        """An empty list says as little as none."""
        assert order_from_wicked(wicked(products=[])).item_count is None
        assert Decimal(0) == order_from_wicked(wicked(products=[{"qty": 0}])).item_count


class TestAWindow:
    def test_by_default_it_overlaps_what_was_read(self) -> None:
        """Seven days before the watermark, or before today in the first run."""
        assert Window(date(2025, 2, 22), TODAY, open_ended=True) == parse(watermark=date(2025, 3, 1))
        assert Window(date(2025, 3, 3), TODAY, open_ended=True) == parse()

    def test_days_that_are_given_are_kept(self) -> None:
        """Whatever the watermark says."""
        expected = Window(date(2025, 1, 1), date(2025, 1, 31))
        assert expected == parse("2025-01-01", "2025-01-31", watermark=TODAY)

    def test_it_reads_a_day_more_on_each_side(self) -> None:
        """Nobody knows in whose time zone the source counts its days."""
        assert (date(2025, 3, 8), date(2025, 3, 11)) == WINDOW.reads

    @pytest.mark.parametrize(
        ("ordered_at", "closed", "open_ended"),
        [
            ("2025-03-08T23:59:59+00:00", False, False),
            ("2025-03-09T00:00:00+00:00", True, True),
            ("2025-03-09T01:00:00+02:00", False, False),
            ("2025-03-10T23:59:59+00:00", True, True),
            ("2025-03-11T00:00:00+00:00", False, True),
            ("2025-03-12T00:00:00+00:00", False, False),
        ],
    )
    def test_its_days_are_utc_and_both_are_in_it(self, ordered_at: str, closed: bool, open_ended: bool) -> None:
        """Where no end was given, an order that a fast clock dated tomorrow is in it too."""
        when = datetime.fromisoformat(ordered_at)
        assert closed == WINDOW.contains(when)
        assert open_ended == Window(WINDOW.from_, WINDOW.to, open_ended=True).contains(when)

    @pytest.mark.parametrize("text", ["", "today", "2025-02-30", "20250131", "2025-W05-5", "2025-1-1", "0001-01-01"])
    @pytest.mark.parametrize("option", ["--from", "--to"])
    def test_a_day_that_is_no_day_is_refused(self, option: str, text: str) -> None:
        """The message names the option and shows how a day is written."""
        with pytest.raises(ConfigurationError, match=f"{option} .* is not a day: write it as 2025-01-31"):
            parse(text) if option == "--from" else parse(to_text=text)

    @pytest.mark.parametrize(
        ("from_text", "to_text", "message"),
        [
            ("2025-02-02", "2025-02-01", "--from 2025-02-02 is after --to 2025-02-01"),
            ("2025-03-11", None, "--from 2025-03-11 is after --to 2025-03-10 (the default)"),
            (None, "2025-01-01", "--from 2025-03-03 (the default) is after --to 2025-01-01"),
        ],
    )
    def test_a_window_that_ends_before_it_begins_is_refused(
        self, from_text: str | None, to_text: str | None, message: str
    ) -> None:
        """The message tells which day nobody gave."""
        with pytest.raises(ConfigurationError) as refused:
            parse(from_text, to_text)
        assert str(refused.value).startswith(message)

    @given(st.dates(date(1970, 1, 1), date(2999, 12, 31)), st.integers(-3, 3), st.booleans())
    def test_what_it_contains_is_always_read(self, day: date, off_by: int, open_ended: bool) -> None:
        """The margin covers the day that a fast clock adds."""
        window = Window(day, day, open_ended=open_ended)
        ordered_at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(days=off_by)
        first, last = window.reads
        assert not window.contains(ordered_at) or first <= ordered_at.date() <= last


def named(name: str, **fields: Any) -> WickedOrder:
    """An order by this id within the window."""
    return wicked(id=name, **fields)


class Shelf:
    """A source whose pages differ from reading to reading; the last reading stays."""

    def __init__(self, *readings: Sequence[Sequence[WickedOrder | BrokenOrder]], total: int | None) -> None:
        self._readings = list(readings)
        self.totals: list[int | None] = []
        self._total = total
        self.asked: list[tuple[date, date]] = []

    async def list_orders(self, from_: date, to: date) -> AsyncIterator[CountedPage[WickedOrder | BrokenOrder]]:
        """The pages of the next reading."""
        reading = self._readings[min(len(self.asked), len(self._readings) - 1)]
        self.asked.append((from_, to))
        for orders in reading:
            yield CountedPage(items=orders, next=None, total=self.totals.pop(0) if self.totals else self._total)


async def read(shelf: Shelf) -> list[list[str | None]]:
    """The ids that came, page by page."""
    return [[order.id for order in page] async for page in WickedReportsOrders(shelf).read(WINDOW)]


class TestReading:
    async def test_pages_come_as_they_are_read(self) -> None:
        """The days asked for are the window's, with its margin."""
        shelf = Shelf([[named("a"), named("b")], [named("c")]], total=3)
        assert await read(shelf) == [["a", "b"], ["c"]]
        assert [WINDOW.reads] == shelf.asked

    async def test_the_margin_is_read_but_not_kept(self) -> None:
        """What lies outside the window counts as having come all the same."""
        early = named("early", date=NOON - timedelta(days=1))
        shelf = Shelf([[early, named("a")]], total=2)
        assert await read(shelf) == [["a"]]
        assert len(shelf.asked) == 1

    async def test_an_order_on_two_pages_comes_once(self) -> None:
        """Pages shift while they are read, so another order may have been hidden: they are read again."""
        shelf = Shelf([[named("a"), named("b")], [named("b"), named("c")]], total=3)
        assert await read(shelf) == [["a", "b"], ["c"], [], []]

    async def test_an_order_that_a_shifting_page_hid_is_found_by_reading_again(self) -> None:
        """Only what is new comes the second time; the third agrees with it."""
        shelf = Shelf([[named("a")], [named("a")]], [[named("b")], [named("a")]], total=2)
        assert await read(shelf) == [["a"], [], ["b"], [], [], []]
        assert len(shelf.asked) == 3

    async def test_p11_orders_deleted_between_two_pages_while_others_move_up_are_noticed(self) -> None:
        """The total shrinks with them, so that as many come as the last page announces."""
        moved = [[named("a"), named("b")], [named("e")]]
        shelf = Shelf(moved, [[named("b"), named("d")], [named("e")]], total=None)
        shelf.totals = [4, 3, 3, 3, 3, 3]
        assert await read(shelf) == [["a", "b"], ["e"], ["d"], [], [], []]

    async def test_p11_readings_that_never_agree_say_how_many_may_be_missing(self) -> None:
        """Four readings, each of another order."""
        shelf = Shelf(*([[named(name)], [named(name)]] for name in "abcd"), total=2)
        missing: list[int] = []
        _ = [page async for page in WickedReportsOrders(shelf).read(WINDOW, missing.append)]
        assert (4, [2]) == (len(shelf.asked), missing)

    async def test_four_readings_are_enough(self, caplog: pytest.LogCaptureFixture) -> None:
        """A source that announces more than it gives does not hold up the run; the log says so."""
        shelf = Shelf([[named("a")]], total=5)
        with caplog.at_level(logging.WARNING, logger="impactflow"):
            assert await read(shelf) == [["a"], [], [], []]
        assert [
            (record.action, record.missing, record.read)  # type: ignore[attr-defined]
            for record in caplog.records
        ] == [("orders_missing", 4, 1)]

    @pytest.mark.parametrize("total", [None, 0, 1])
    async def test_a_source_that_announces_nothing_is_read_once(self, total: int | None) -> None:
        """There is nothing to compare with."""
        shelf = Shelf([[named("a")]], total=total)
        assert await read(shelf) == [["a"]]
        assert len(shelf.asked) == 1

    async def test_an_empty_window_is_read_once(self) -> None:
        """No orders are no trouble."""
        assert await read(Shelf([[]], total=0)) == [[]]
        assert await read(Shelf([], total=0)) == []

    async def test_broken_orders_come_too_whatever_their_day(self) -> None:
        """Each once, with an id or without, however often the window is read."""
        broken: list[WickedOrder | BrokenOrder] = [
            BrokenOrder("x", "date"),
            BrokenOrder(None, "id"),
            BrokenOrder(None, "id"),
        ]
        shelf = Shelf([[*broken, named("a")]], [[named("b"), *broken]], total=5)
        assert await read(shelf) == [["x", None, None, "a"], ["b"], [], []]
