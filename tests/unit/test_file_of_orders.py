"""A file of orders: what its lines mean, what breaks an order, what stops the file, and what a person is told of it."""

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impactflow.errors import ConfigurationError
from impactflow.intake.file import _MEANS, OrdersFile
from impactflow.models import BrokenOrder, Order, Payment

TODAY = date(2026, 3, 2)
FIELDS = (
    "order_id",
    "ordered_at",
    "amount",
    "currency",
    "item_count",
    "payment_status",
    "customer_email",
    "paid_with",
    "subscription",
    "source_system",
    "source_id",
)
FULL = {
    "order_id": "1001",
    "ordered_at": "2026-03-01T11:00:00+01:00",
    "amount": "79.90",
    "currency": "eur",
    "item_count": "3",
    "payment_status": "paid",
    "customer_email": "ada@example.com",
    "paid_with": "gift_card",
    "subscription": "Yes",
    "source_system": "Shopify",
    "source_id": "5001",
}
Row = dict[str, Any]


def as_csv(rows: list[Row], separator: str = ",") -> str:
    """Rows as a spreadsheet saves them."""
    text = io.StringIO(newline="")
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(columns), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(rows: list[Row]) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def given_file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Writes a file of orders."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "orders.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


async def orders_of(path: Path, from_: date | None = None, to: date | None = None) -> list[Order | BrokenOrder]:
    """All that is read of a file."""
    file = OrdersFile.open(path)
    return [order async for page in file.read(file.window(from_, to, TODAY)) for order in page]


async def only(path: Path) -> Order:
    """The one order of a file."""
    (order,) = await orders_of(path)
    assert isinstance(order, Order), order
    return order


async def problem(path: Path) -> str:
    """What is wrong with the one order of a file."""
    (order,) = await orders_of(path)
    assert isinstance(order, BrokenOrder), order
    return order.problem


class TestALine:
    @pytest.mark.parametrize("written", [as_csv, as_json])
    async def test_it_says_what_a_policy_asks_about(self, given_file: Any, written: Any) -> None:
        """In CSV as in JSON lines; the sale goes by the names that a webhook or Wicked Reports gives it."""
        expected = Order(
            id="shopify:1001",
            names=("src:shopify:1001", "src:shopify:5001"),
            ordered_at=datetime(2026, 3, 1, 10, tzinfo=UTC),
            amount=Decimal("79.90"),
            currency="EUR",
            item_count=Decimal(3),
            payments=(Payment("APPROVED"),),
            customer_email="ada@example.com",
            paid_with=("gift_card",),
            is_subscription=True,
            reporter="file shopify",
        )
        assert expected == await only(given_file(written([FULL])))

    @pytest.mark.parametrize("written", [as_csv, as_json])
    async def test_what_is_left_out_or_blank_is_not_said(self, given_file: Any, written: Any) -> None:
        """Two fields are enough; a day alone is its midnight, UTC."""
        bare = Order(
            "file:7",
            ("src:file:7",),
            datetime(2026, 3, 1, tzinfo=UTC),
            None,
            None,
            None,
            (Payment("APPROVED"),),
            reporter="file",
        )
        row = {"order_id": "7", "ordered_at": "2026-03-01"}
        assert bare == await only(given_file(written([row])))
        blank = dict.fromkeys(set(FIELDS) - {"payment_status", *row}, "  ")
        assert bare == await only(given_file(written([row | blank])))

    async def test_json_numbers_are_numbers_and_null_says_nothing(self, given_file: Any) -> None:
        """None of them goes through a binary fraction."""
        row = '{"order_id": 7, "ordered_at": "2026-03-01", "amount": 0.1, "item_count": 2, "source_id": null}'
        order = await only(given_file(row))
        assert ("file:7", Decimal("0.1"), Decimal(2)) == (order.id, order.amount, order.item_count)

    @pytest.mark.parametrize(
        ("value", "status"),
        [
            ("APPROVED", "APPROVED"),
            ("Paid", "APPROVED"),
            ("manual", "MANUAL"),
            ("Partially Refunded", "Partially Refunded"),
            ("partially_refunded", "Partially Refunded"),
            ("partially-refunded", "Partially Refunded"),
            ("refunded", "REFUNDED"),
            ("cancelled", "REFUNDED"),
            ("voided", "REFUNDED"),
            ("pending", "PENDING"),
            ("failed", "FAILED"),
        ],
    )
    async def test_a_payment_is_said_in_the_shops_words(self, given_file: Any, value: str, status: str) -> None:
        """They become those of the policy."""
        order = await only(given_file(as_csv([FULL | {"payment_status": value}])))
        assert (Payment(status),) == order.payments

    @pytest.mark.parametrize(
        "value",
        [
            "2026-03-01T11:00+01:00",
            "2026-03-01 11:00:00 +0100",
            "2026-03-01 10:00 UTC",
            "2026-03-01 10:00:00Z",
            "2026-03-01T10:00 GMT",
        ],
    )
    async def test_a_time_says_its_zone_in_the_ways_of_exports(self, given_file: Any, value: str) -> None:
        """None is guessed."""
        order = await only(given_file(as_csv([FULL | {"ordered_at": value}])))
        assert datetime(2026, 3, 1, 10, tzinfo=UTC) == order.ordered_at

    @pytest.mark.parametrize("value", ["ada@example.com", "12 Main Street", "+49 170 1234567"])
    async def test_what_is_no_time_at_all_is_not_repeated(self, given_file: Any, value: str) -> None:
        """It may be anything of a customer's."""
        assert value not in await problem(given_file(as_csv([FULL | {"ordered_at": value}])))

    async def test_an_id_with_an_address_in_it_becomes_a_digest(self, given_file: Any) -> None:
        """Providers, logs and pages are told the id; the address stays among the names, to join the sale."""
        order = await only(given_file(as_csv([FULL | {"order_id": "ada@example.com", "source_id": ""}])))
        assert order.id.startswith("order-")
        assert ("src:shopify:ada@example.com", f"src:{order.id}") == order.names

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("amount", "79,90", "decimal point"),
            ("amount", "1,079.90", "decimal point"),
            ("amount", "$79.90", "decimal point"),
            ("amount", "1_000", "decimal point"),
            ("amount", "NaN", "decimal point"),
            ("amount", "-5", "it must not be below 0"),
            ("amount", "1" * 40, "it must not be above 1,000,000,000,000"),
            ("currency", "euro", "three letters, such as EUR"),
            ("item_count", "two", "decimal point"),
            ("item_count", "-1", "it must not be below 0"),
            ("payment_status", "piad", "write one of approved, paid,"),
            ("payment_status", "", "it is blank"),
            ("ordered_at", "", "it is missing"),
            ("ordered_at", "01.03.2026", "2025-01-31T12:00:00Z"),
            ("ordered_at", "2026-03-01T11:00:00", "add Z where it is UTC"),
            ("ordered_at", "2026-02-30", "2025-01-31T12:00:00Z"),
            ("ordered_at", "0001-01-01T00:00:00+14:00", "2025-01-31T12:00:00Z"),
            ("ordered_at", "9999-12-31", "2025-01-31T12:00:00Z"),
            ("subscription", "maybe", "write true or false"),
            ("source_system", "unknown", "name the system"),
            ("customer_email", "ada\x00", "control characters"),
        ],
    )
    async def test_a_field_that_cannot_be_read_breaks_its_order_alone(
        self, given_file: Any, field: str, value: str, message: str
    ) -> None:
        """The line and the field are named, and nothing that stands there; the others are read."""
        rows = [
            FULL | {"order_id": "1", "source_id": ""},
            FULL | {"order_id": "2", "source_id": "", field: value},
            FULL,
        ]
        first, broken, _ = await orders_of(given_file(as_csv(rows)))
        assert isinstance(first, Order)
        assert isinstance(broken, BrokenOrder)
        assert broken.problem.startswith(f"orders.csv line 3: field {field}: ")
        assert message in broken.problem
        if field == "ordered_at" and value:
            assert broken.problem.endswith(f" (it says {value})")
        else:
            assert not value or value not in broken.problem
        assert broken.id in {"shopify:2", "orders.csv line 3"}

    async def test_a_broken_order_is_known_by_its_id_or_else_by_its_line(self, given_file: Any) -> None:
        """So that a good line about it mends it."""
        rows = [FULL | {"amount": "?"}, FULL | {"order_id": ""}, FULL | {"order_id": "ada@example.com", "amount": "?"}]
        known, nameless, masked = await orders_of(given_file(as_csv([row | {"source_id": ""} for row in rows])))
        assert ("shopify:1001", "orders.csv line 3") == (known.id, nameless.id)
        assert (masked.id or "").startswith("order-")
        assert "ada@example.com" not in repr((known, nameless, masked))

    @pytest.mark.parametrize("text", ["7", "[]", "{", '"order_id"', '{"order_id": 1, "order_id": 2}', "[" * 100_000])
    async def test_a_line_that_is_no_object_is_a_broken_order(self, given_file: Any, text: str) -> None:
        """Known by its line; blank lines are none, but they are counted."""
        good = json.dumps(FULL)
        _, broken = await orders_of(given_file(f"{good}\n\n{text}\n"))
        assert BrokenOrder("orders.csv line 3", "orders.csv line 3: it is no JSON object of fields") == broken

    async def test_a_line_of_too_many_columns_is_a_broken_order(self, given_file: Any) -> None:
        """Such as a decimal comma makes."""
        text = "order_id,ordered_at,amount,currency\n1,2026-03-01,79,90,EUR\n,,,\n2,2026-03-01,5.00,EUR\n"
        broken, good = await orders_of(given_file(text))
        assert (broken.id, good.id) == ("orders.csv line 2", "file:2")
        assert "line 2: it has 5 columns and the first line 4: put what holds a separator" in broken.problem


class TestAFile:
    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    async def test_a_spreadsheets_separators_and_mark_are_understood(
        self, given_file: Any, separator: str, mark: str
    ) -> None:
        """By the first line alone."""
        order = await only(given_file(mark + as_csv([FULL], separator)))
        assert ("shopify:1001", Decimal("79.90")) == (order.id, order.amount)

    async def test_lines_are_counted_as_an_editor_counts_them(self, given_file: Any) -> None:
        """A cell in quotes may hold line ends."""
        rows = [FULL | {"note": "two\nlines"}, FULL | {"order_id": "2", "source_id": "", "amount": "x"}]
        (_, broken) = await orders_of(given_file(as_csv(rows)))
        assert broken.problem.startswith("orders.csv line 4: ")

    async def test_the_last_line_about_an_order_counts(self, given_file: Any) -> None:
        """Whatever it says, and by whichever name it tells it; names of earlier lines are kept."""
        rows = [
            FULL | {"amount": "1"},
            FULL | {"order_id": "2", "source_id": "9", "amount": "2"},
            FULL | {"order_id": "3", "source_id": "5001", "amount": "3"},
            FULL | {"order_id": "2", "source_id": "", "amount": "refunded?"},
        ]
        path = given_file(as_csv(rows))
        third, second = await orders_of(path)
        assert isinstance(third, Order)
        assert (Decimal(3), {"src:shopify:3", "src:shopify:5001", "src:shopify:1001"}) == (
            third.amount,
            set(third.names),
        )
        assert isinstance(second, BrokenOrder)
        assert ["Lines that do not count, since the file tells their orders again further down: 2."] == list(
            OrdersFile.open(path).notes({})
        )

    async def test_all_days_count_unless_some_are_asked_for(self, given_file: Any) -> None:
        """A broken order has no day, and comes always."""
        days = ["2019-05-05", "2026-01-01", "2026-02-01"]
        rows = [{"order_id": str(number), "ordered_at": day} for number, day in enumerate(days)]
        path = given_file(as_csv([*rows, {"order_id": "x", "ordered_at": "soon"}]))

        async def ids(*asked: date | None) -> list[str | None]:
            return [order.id for order in await orders_of(path, *asked)]

        assert ["file:0", "file:1", "file:2", "file:x"] == await ids()
        assert ["file:1", "file:2", "file:x"] == await ids(date(2026, 1, 1))
        assert ["file:0", "file:1", "file:x"] == await ids(None, date(2026, 1, 1))
        assert ["file:x"] == await ids(date(2026, 2, 2))
        assert ["file:x"] == await ids(None, date(2019, 5, 4))
        with pytest.raises(ConfigurationError, match="give days in order"):
            await ids(date(2026, 1, 2), date(2026, 1, 1))

    async def test_a_file_without_orders_is_no_error(self, given_file: Any) -> None:
        """Nothing was sold."""
        assert [] == await orders_of(given_file("order_id,ordered_at\n"))

    async def test_a_file_that_changes_meanwhile_is_not_taken_for_read(self, given_file: Any) -> None:
        """Its new lines may tell its orders anew."""
        path = given_file(as_csv([FULL]))
        file = OrdersFile.open(path)
        path.write_text(as_csv([FULL, FULL | {"order_id": "2", "source_id": ""}]))
        with pytest.raises(ConfigurationError, match="has changed meanwhile: run this again"):
            _ = [page async for page in file.read(file.window(None, None, TODAY))]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "its first line is empty"),
            ("\n" + as_csv([FULL]), "its first line is empty"),
            ("1001,2026-03-01,ada@example.com\n", "it has no order_id and no ordered_at"),
            ("[\n", "it has no order_id and no ordered_at"),
            ('{"ordered_at": "2026-03-01"}\n', "it has no order_id:"),
            ("order_id,ordered_at,amount,amount\n", "names a column twice"),
            ("order_id,ordered_at,ammount\n", "ammount is not read: write amount,"),
            ("order_id,ordered_at,amonut\n", "amonut is not read: write amount,"),
            ("order_id,ordered_at,Amount\n", "Amount is not read: write amount,"),
            ("order_id,ordered_at,Total\n", "Total is not read: write amount,"),
            ("order_id,ordered_at,amount,Financial Status\n", "Financial Status is not read: write payment_status,"),
            ("order_id,ordered_at,Qty\n", "Qty is not read: write item_count,"),
            ("Bestellung,Datum,amount\n", "(its first line has Bestellung, Datum, amount)"),
            (
                "order_id,amount\n",
                "it has no ordered_at: its first line should name a column ordered_at (when the order",
            ),
            ("order_id,ordered_at,Email\n", "Email is not read: write customer_email, or rename it"),
            ("order_id,ordered_at,E-mail Address\n", "E-mail Address is not read: write customer_email,"),
            ('{"order_id": 1, "ordered_at": "2026-03-01", "email": "x"}\n', "email is not read: write customer_email"),
            ("Order ID,ordered_at\n", "Order ID is not read: write order_id,"),
            ('{"order_id": 1, "ordered_at": "2026-03-01", "curency": "EUR"}\n', "curency is not read: write currency,"),
            ('order_id,ordered_at\n1,2026-03-01\n2,"2026-03-01\n3,2026-03-01\n', "line 3 cannot be split"),
            ('order_id,ordered_at\n1,"2026"-03-01\n', "line 2 cannot be split"),
            ("order_id,ordered_at,café\n".encode("cp1252"), "it is not UTF-8"),
            ("order_id,ordered_at\n".encode("utf-16"), "it is not UTF-8"),
        ],
    )
    async def test_what_is_wrong_with_a_whole_file_stops_it(
        self, given_file: Any, content: str | bytes, message: str
    ) -> None:
        """Before anything is bought; what a file without columns begins with is not repeated."""
        path = given_file(content)
        with pytest.raises(ConfigurationError) as refused:
            OrdersFile.open(path)
        assert str(refused.value).startswith(f"orders file {path}: ")
        assert message in str(refused.value)
        assert "example.com" not in str(refused.value)

    async def test_m4_all_columns_are_told_at_once_with_the_first_line_that_would_be_right(
        self, given_file: Any
    ) -> None:
        """One run is enough to mend an export; a customer's address is no column to leave out in silence."""
        path = given_file("Order ID;Date;Total;Currency;Email;Items;Note\n1;2026-03-01;5;EUR;ada@example.com;2;x\n")
        with pytest.raises(ConfigurationError) as refused:
            OrdersFile.open(path)
        message = str(refused.value)
        for name, field in {
            "Order ID": "order_id",
            "Date": "ordered_at",
            "Total": "amount",
            "Items": "item_count",
        }.items():
            assert f"{name} is not read: write {field}" in message
        assert message.endswith(
            "Its first line, corrected: order_id;ordered_at;amount;currency;customer_email;item_count;Note"
        )
        path.write_text(
            path.read_text().replace("Order ID;Date;Total;Currency;Email;Items", message.rpartition(": ")[2][:-5])
        )
        assert "file:1" == (await only(path)).id

    async def test_a_file_of_which_no_line_can_be_read_names_each_cause_once(self, given_file: Any) -> None:
        """With the lines, and what the first one says where that is a time."""
        rows = [{"order_id": str(number), "ordered_at": f"2026-11-25 14:0{number}"} for number in range(6)]
        file = OrdersFile.open(given_file(as_csv([*rows, {"order_id": "", "ordered_at": "2026-11-25"}])))
        with pytest.raises(ConfigurationError) as refused:
            file.require_orders()
        message = str(refused.value)
        assert "orders.csv lines 2, 3, 4 and 3 more: field ordered_at: it does not say in which time zone" in message
        assert 1 == message.count("(it says 2026-11-25 14:0")
        assert "orders.csv line 8: field order_id: it is missing" in message
        OrdersFile.open(given_file("order_id,ordered_at\n")).require_orders()
        OrdersFile.open(given_file(as_csv([FULL, *rows]))).require_orders()

    @pytest.mark.parametrize("path", [Path("absent.csv"), Path()])
    async def test_a_file_that_cannot_be_opened_is_refused(self, tmp_path: Path, path: Path) -> None:
        """One that is not there, and a folder."""
        with pytest.raises(ConfigurationError, match=r"orders file .*: it (cannot be read|is no file)"):
            OrdersFile.open(tmp_path / path)

    async def test_a_slip_in_one_line_of_json_breaks_that_order(self, given_file: Any) -> None:
        """Another line has the field, so the file is not wrong as a whole; no order loses its amount by it."""
        slip = {"order_id": 2, "ordered_at": "2026-03-01", "amuont": 5}
        _, broken = await orders_of(
            given_file(as_json([{"order_id": 1, "ordered_at": "2026-03-01", "amount": 5}, slip]))
        )
        assert BrokenOrder("file:2", f"orders.csv line 2: {broken.problem.partition(': ')[2]}") == broken
        assert "amuont is not read: write amount" in broken.problem

    async def test_where_some_lines_of_json_say_what_was_paid_all_must(self, given_file: Any) -> None:
        """Or an order that nobody paid for would count as the paid ones do."""
        rows: list[Row] = [{"order_id": 1, "ordered_at": "2026-03-01"}, FULL]
        broken, _ = await orders_of(given_file(as_json(rows)))
        assert isinstance(broken, BrokenOrder)
        assert "field payment_status" in broken.problem

    async def test_other_columns_are_named_and_what_nothing_can_be_earned_without(self, given_file: Any) -> None:
        """One that is like a field is no slip where the field is there as well."""
        needed = {"amount": ["giving"], "item_count": ["trees"], "customer_email": ["trees", "offset"]}
        text = "order_id,ordered_at,amount,amounts,account,customer_id,Tags <b>,,\n1,2026-03-01,5,6,a,b,c,,\n"
        path = given_file(text)
        assert [
            "Columns of the file that are not read: amounts, account, customer_id, Tags <b>.",
            "The file has no item_count, without which trees earns nothing.",
            "The file has no customer_email, without which trees and offset earn nothing.",
            "The file has no payment_status: all of its orders count as paid.",
        ] == OrdersFile.open(path).notes(needed)
        assert Decimal(5) == (await only(path)).amount


_TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
_MONEY = st.decimals(0, 10**12, places=2)
_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "order_id": _TEXT,
            "ordered_at": st.datetimes(
                datetime(1980, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
                datetime(2990, 1, 1),  # noqa: DTZ001
                timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))]),
            ),
            "amount": st.none() | _MONEY,
            "currency": st.none() | st.from_regex("[A-Z]{3}", fullmatch=True),
            "item_count": st.none() | st.integers(0, 10**9).map(Decimal),
            "payment_status": st.sampled_from(["APPROVED", "MANUAL", "REFUNDED", "Partially Refunded"]),
            "customer_email": st.none() | st.emails(),
        }
    ),
    unique_by=lambda row: row["order_id"],
    min_size=1,
    max_size=10,
)


@given(rows=_ROWS, form=st.sampled_from(["csv", "semicolons", "json"]))
async def test_what_was_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], form: str
) -> None:
    """Whatever the texts hold: separators, quotation marks, other scripts."""
    texts = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    path = tmp_path_factory.mktemp("orders") / "orders"
    content = as_json(texts) if form == "json" else as_csv(texts, ";" if form == "semicolons" else ",")
    path.write_text(content, encoding="utf-8", newline="")
    read = [order for order in await orders_of(path) if isinstance(order, Order)]
    for row, order in zip(rows, read, strict=True):
        assert order == Order(
            id=order.id,
            names=tuple(dict.fromkeys((f"src:file:{row['order_id']}", f"src:{order.id}"))),
            ordered_at=row["ordered_at"],
            amount=row["amount"],
            currency=row["currency"],
            item_count=row["item_count"],
            payments=(Payment(row["payment_status"]),),
            customer_email=row["customer_email"],
            reporter="file",
        )


def samples(page: str, form: str) -> str:
    """What a page shows in a form."""
    return "".join(part.partition("```")[0] for part in page.split(f"```{form}\n")[1:])


async def test_the_page_about_files_shows_what_is_read(given_file: Any) -> None:
    """Its samples, its table of fields, and the words for a payment."""
    page = (Path(__file__).parents[2] / "docs" / "orders-file.md").read_text()
    header = samples(page, "csv").partition("\n")[0]
    read = [await orders_of(given_file(samples(page, form))) for form in ("csv", "json")]
    assert ["shopify:1001", "shopify:1002", "file:1003"] == [order.id for orders in read for order in orders]
    assert all(isinstance(order, Order) for orders in read for order in orders)
    listed = re.findall(r"^\| `(\w+)` \| (?:required|optional) \|", page, re.MULTILINE)
    assert list(FIELDS) == listed == header.split(",")


def test_n18_the_page_about_files_lists_the_words_that_are_refused_in_the_place_of_a_field() -> None:
    """All of them, so that nobody has to find one out by trying."""
    page = (Path(__file__).parents[2] / "docs" / "orders-file.md").read_text()
    rows = dict(re.findall(r"^  \| `(\w+)` \| (.*) \|$", page, re.MULTILINE))
    assert {name: set(re.findall("`([^`]+)`", words)) for name, words in rows.items()} == _MEANS


async def test_the_documented_recipe_makes_a_file_of_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other names, other dates, marks in the amounts: what the page shows is what it turns them into."""
    page = (Path(__file__).parents[2] / "docs" / "orders-file.md").read_text()
    export, recipe = re.findall(r"```(?:python)?\n(.*?)```", page[page.index("## From an export") :], re.DOTALL)[:2]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export.csv").write_text(export)
    exec(recipe, {})
    file = OrdersFile.open(tmp_path / "orders.csv")
    orders = [order async for page in file.read(file.window(None, None, TODAY)) for order in page]

    assert [("file:A-1001", "1234.50", "APPROVED"), ("file:A-1002", "89.90", "REFUNDED")] == [
        (order.id, str(order.amount), order.payments[0].status) for order in orders if isinstance(order, Order)
    ]
