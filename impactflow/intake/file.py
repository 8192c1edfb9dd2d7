"""
The orders of a file, one a line, in the fields that ``docs/orders-file.md`` describes.

A file is read twice: first to find its columns, the days of its orders and the orders that are repeated further down,
then page by page. Meanwhile memory holds a hash of each order's names, and one page.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from impactflow.clients.answers import broken_fields, place
from impactflow.clients.values import check_plain
from impactflow.clients.wickedreports.models import MOST_ITEMS, MOST_MONEY
from impactflow.errors import ConfigurationError
from impactflow.escapes import public_id
from impactflow.intake.lines import Line, heading_of, read_lines
from impactflow.intake.problems import grouped
from impactflow.intake.problems import named as first_of
from impactflow.models import BrokenOrder, Order, Payment
from impactflow.names import is_system, name_of_source, order_id_of, source_name
from impactflow.texts import one_line
from impactflow.window import EARLIEST, LATEST, Window

#: How many orders are planned in one go.
_PAGE = 1000
#: The similarity from which a column's name counts as a misspelling of a field: ``amonut`` does (0.83), and
#: ``customer_id`` does not count as ``customer_email`` (0.80).
_ALIKE = 0.82
#: The most columns that are named to a person.
_NAMED = 20
_PAID = "APPROVED"
#: A payment's status as policies know it, by the word in a file. A cancelled order counts as given back, as it does
#: where a webhook reports it.
_STATUSES = MappingProxyType(
    {
        "approved": _PAID,
        "paid": _PAID,
        "manual": "MANUAL",
        "partially_refunded": "Partially Refunded",
        "refunded": "REFUNDED",
        "cancelled": "REFUNDED",
        "canceled": "REFUNDED",
        "voided": "REFUNDED",
        "pending": "PENDING",
        "unpaid": "PENDING",
        "failed": "FAILED",
    }
)
#: The names in exports for a field without which an order cannot be read, earns nothing or is taken for paid; in lower
#: case, words separated.
_MEANS = MappingProxyType(
    {
        "amount": frozenset(
            {
                "total", "totals", "grand total", "order total", "total price", "total amount", "total paid", "price",
                "sum", "subtotal", "gross", "revenue", "value", "order amount", "order value", "order price",
            }
        ),
        "currency": frozenset({"curr", "currency code", "order currency"}),
        "customer_email": frozenset(
            {
                "email", "e mail", "mail", "email address", "e mail address", "customer e mail", "buyer email",
                "billing email", "contact email",
            }
        ),
        "order_id": frozenset(
            {"order", "id", "number", "order no", "order nr", "order number", "order name", "transaction id"}
        ),
        "ordered_at": frozenset(
            {
                "date", "time", "created", "created at", "date created", "order date", "order time", "ordered",
                "ordered on", "sold at", "paid at", "purchase date", "order created at",
            }
        ),
        "item_count": frozenset(
            {"items", "quantity", "qty", "units", "item quantity", "number of items", "total items"}
        ),
        "payment_status": frozenset(
            {"status", "state", "payment", "paid", "financial status", "order status", "payment state"}
        ),
    }
)  # fmt: skip
#: The name of a column, and no order's content.
_NAME = re.compile(r"[A-Za-z][A-Za-z _./()-]{0,39}")
_CURRENCY = re.compile("[A-Z]{3}")
#: The ways besides Z in which a time says that it is UTC.
_UTC = frozenset({"Z", "UTC", "GMT"})
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
_TIME = re.compile(rf"({_DAY.pattern})[T ]({_CLOCK}) ?(Z|UTC|GMT|[+-][0-9]{{2}}:?[0-9]{{2}})")
_TIME_WITHOUT_ZONE = re.compile(rf"{_DAY.pattern}[T ]{_CLOCK}")
#: A text that may be repeated to a person, because it is only a date.
_DATE_LIKE = re.compile(
    r"[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}([T ,]+[0-9:.]{1,15}( ?[AaPp][Mm])?)?( ?[A-Z+0-9:-]{1,6})?"
)


def _as_id(value: object) -> object:
    """Return an id as a text; JSON may write it as a number."""
    return str(value) if type(value) is int else value


def _as_number(value: object) -> object:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    if type(value) is int or isinstance(value, Decimal):
        return value
    raise PydanticCustomError("number", "write a number with a decimal point and no other mark, such as 1234.50")


def _as_time(value: object) -> object:
    try:
        if isinstance(value, str) and (found := _TIME.fullmatch(value)):
            day, time, zone = found.groups()
            return _believable(datetime.fromisoformat(f"{day}T{time}{'Z' if zone in _UTC else zone}"))
        if isinstance(value, str) and _DAY.fullmatch(value):
            return _believable(datetime.fromisoformat(value).replace(tzinfo=UTC))
    except ValueError:
        pass
    quoted = f" (it says {value})" if isinstance(value, str) and _DATE_LIKE.fullmatch(value) else ""
    if isinstance(value, str) and _TIME_WITHOUT_ZONE.fullmatch(value):
        raise PydanticCustomError(
            "time",
            "it does not say in which time zone: add Z where it is UTC, +01:00 where it is an hour ahead, or write the"
            " day alone{quoted}",
            {"quoted": quoted},
        )
    raise PydanticCustomError(
        "time",
        "write 2025-01-31T12:00:00Z, 2025-01-31T13:00:00+01:00 or a day, 2025-01-31{quoted}",
        {"quoted": quoted},
    )


def _believable(time: datetime) -> datetime:
    if EARLIEST.year < time.year < LATEST.year:  # so no time zone leads to a day that no window has
        return time.astimezone(UTC)
    raise ValueError


def _as_currency(value: object) -> object:
    if isinstance(value, str) and _CURRENCY.fullmatch(value.upper()):
        return value.upper()
    raise PydanticCustomError("currency", "write the currency's three letters, such as EUR")


def _between(least: int, most: Decimal | int) -> AfterValidator:
    def check(number: Decimal) -> Decimal:
        if number < least:
            raise PydanticCustomError("least", "it must not be below {least}", {"least": least})
        if number > most:
            raise PydanticCustomError("most", "it must not be above {most}", {"most": f"{most:,}"})
        return number

    return AfterValidator(check)


def _as_status(value: object) -> str:
    text = re.sub(r"[\s_-]+", "_", value.lower()) if isinstance(value, str) else ""
    if text not in _STATUSES:
        raise PydanticCustomError("status", "write one of {known}", {"known": ", ".join(_STATUSES)})
    return _STATUSES[text]


def _as_flag(value: object) -> object:
    flag = {"true": True, "yes": True, "false": False, "no": False}.get(str(value).lower())
    if flag is None:
        raise PydanticCustomError("flag", "write true or false")
    return flag


def _is_known(system: str) -> str:
    if is_system(system):
        return system
    raise PydanticCustomError("system", "name the system that sold it, or leave it out")


_Id = Annotated[str, BeforeValidator(_as_id), Field(min_length=1, max_length=200), AfterValidator(check_plain)]
_Amount = Annotated[Decimal, BeforeValidator(_as_number), _between(0, MOST_MONEY)]
_Count = Annotated[Decimal, BeforeValidator(_as_number), _between(0, MOST_ITEMS)]


class _Named(BaseModel):
    """The fields that identify the order of a line."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    order_id: _Id
    source_system: Annotated[_Id, AfterValidator(_is_known)] = "file"
    source_id: _Id | None = None

    @property
    def id(self) -> str:
        """The id as it is sent to providers."""
        return public_id(order_id_of(source_name(self.source_system, self.order_id)))

    @property
    def names(self) -> tuple[str, ...]:
        """The names that webhooks and Wicked Reports give to the same sale."""
        ids = [each for each in (self.order_id, self.source_id) if each is not None]
        named = [source_name(self.source_system, each) for each in ids]
        return tuple(dict.fromkeys((named[0], name_of_source(self.id), *named[1:])))


class _Sold(_Named):
    """A line of the file; a field that is left out cannot earn anything."""

    ordered_at: Annotated[datetime, BeforeValidator(_as_time)]
    amount: _Amount | None = None
    currency: Annotated[str, BeforeValidator(_as_currency)] | None = None
    item_count: _Count | None = None
    payment_status: Annotated[str, BeforeValidator(_as_status)] | None = None
    customer_email: Annotated[Annotated[str, AfterValidator(check_plain)] | None, Field(repr=False)] = None
    paid_with: Annotated[str, AfterValidator(check_plain)] | None = None
    subscription: Annotated[bool, BeforeValidator(_as_flag)] | None = None

    @property
    def order(self) -> Order:
        """Return the line as an order, for a policy."""
        return Order(
            id=self.id,
            names=self.names,
            ordered_at=self.ordered_at,
            amount=self.amount,
            currency=self.currency,
            item_count=self.item_count,
            payments=(Payment(self.payment_status or _PAID),),
            customer_email=self.customer_email,
            paid_with=(self.paid_with,) if self.paid_with else (),
            is_subscription=self.subscription,
            reporter=" ".join(dict.fromkeys(("file", self.source_system.lower()))),
        )


_FIELDS = tuple(_Sold.model_fields)
_NEEDED = ("order_id", "ordered_at")
#: The explanation for a person of a column that every order needs.
_EXPLANATIONS = MappingProxyType({"order_id": "the order's id or number", "ordered_at": "when the order was sold"})
#: How many problems of lines are kept.
_KEPT = 1000


@dataclass(frozen=True, slots=True)
class OrdersFile:
    """
    A file of orders, as it was when it was opened.

    Args:
        path: Its path.
        columns: The names in its lines, fields of orders and others.
        days: The first and the last day, UTC, of its orders; None where none can be read.
        counts: The line that counts, for orders that occur more than once, by the hash of each name.
        superseded: How many lines do not count, because their orders occur again further down.
        problems: The problems of the first lines that cannot be read.
        version: Size and time of the last change.
    """

    path: Path
    columns: Sequence[str]
    days: tuple[date, date] | None
    counts: Mapping[int, int]
    superseded: int
    problems: Sequence[str]
    version: tuple[int, int]

    @classmethod
    def open(cls, path: Path) -> Self:
        """
        Open and check a file.

        Raises:
            ConfigurationError: The file cannot be read, or its columns are not those of orders.
        """
        version, (heading, separator) = _version(path), heading_of(path)
        columns = dict.fromkeys(heading)
        days: list[date] = []
        problems: list[str] = []
        seen, counts, superseded = set[int](), dict[int, int](), 0
        for line in read_lines(path):
            columns |= dict.fromkeys(line.fields)
            order, names = _read(line, path, has_status=False)
            hashes = set(map(hash, names))
            if not hashes.isdisjoint(seen):
                counts |= dict.fromkeys(hashes, line.number)
                superseded += 1
            seen |= hashes
            if isinstance(order, Order):
                day = order.ordered_at.date()
                days = [min(day, *days), max(day, *days)] if days else [day, day]
            elif len(problems) < _KEPT:
                problems.append(order.problem)
        named = [name for name in columns if name]
        _check(path, named, separator)
        return cls(path, named, (days[0], days[1]) if days else None, counts, superseded, problems, version)

    @property
    def file(self) -> str:
        """The file's name, for a person."""
        return _shown(self.path)

    def require_orders(self) -> None:
        """
        Check that not all lines are broken; a file without lines is no error.

        Raises:
            ConfigurationError: All lines are broken; the message gives each cause once.
        """
        if self.days is None and self.problems:
            causes = "; ".join(problem for problem, _ in grouped(self.problems))
            raise ConfigurationError(f"orders file {self.path}: no line of it can be read: {causes}")

    def window(self, from_: date | None, to: date | None, today: date) -> Window:
        """
        All days of the file, or those that were asked for.

        Args:
            from_: The first day; None for that of the file.
            to: The last day; None for that of the file.
            today: The day that a file without orders is taken to be of.

        Raises:
            ConfigurationError: The first day is after the last.
        """
        first, last = self.days or (today, today)
        begin = from_ or min(first, to or first)
        end = to or max(last, begin)
        window = Window.parse(begin.isoformat(), end.isoformat(), today=today, watermark=None)
        return window if from_ or to else replace(window, why="all days of the file")

    async def read(
        self,
        window: Window,
        missing: Callable[[int], None] = lambda _: None,  # noqa: ARG002 - a file hides nothing
    ) -> AsyncIterator[list[Order | BrokenOrder]]:
        """
        Yield the window's orders, page by page, each as its last line describes it.

        Args:
            window: The days to read; broken orders have no day, and all of them come.
            missing: Not called.

        Raises:
            ConfigurationError: The file has changed since it was opened, or cannot be read any more.
        """
        page: list[Order | BrokenOrder] = []
        for order in self._orders():
            if isinstance(order, BrokenOrder) or window.contains(order.ordered_at):
                page.append(order)
            if len(page) == _PAGE:
                yield page
                page = []
        if _version(self.path) != self.version:
            raise ConfigurationError(f"orders file {self.path}: it has changed meanwhile: run this again")
        yield page

    def _orders(self) -> Iterator[Order | BrokenOrder]:
        """Yield each order once; it keeps names from earlier lines, because it may be known by one of them."""
        earlier: dict[str, tuple[str, ...]] = {}
        for line in read_lines(self.path):
            order, names = _read(line, self.path, has_status="payment_status" in self.columns)
            more = dict.fromkeys(name for known in names for name in earlier.get(known, ()) if name not in names)
            if any(self.counts.get(hash(name), 0) > line.number for name in names):
                names += tuple(more)
                earlier |= dict.fromkeys(names, names)
            elif more and isinstance(order, Order):
                yield replace(order, names=(*names, *more))
            else:
                yield order

    def notes(self, needed: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """
        Notes on the file for a person, besides its orders, a line each.

        Args:
            needed: The slots of the rules that earn nothing without a column, by the column.
        """
        ignored = [place((name,)) for name in self.columns if name not in _FIELDS]
        notes = []
        if ignored:
            notes.append(f"Columns of the file that are not read: {first_of(ignored, _NAMED)}.")
        notes += [
            f"The file has no {column}, without which {' and '.join(slots)} {'earns' if len(slots) == 1 else 'earn'}"
            " nothing."
            for column, slots in needed.items()
            if column not in self.columns
        ]
        if "payment_status" not in self.columns:
            notes.append("The file has no payment_status: all of its orders count as paid.")
        if self.superseded:
            notes.append(
                f"Lines that do not count, since the file tells their orders again further down: {self.superseded}."
            )
        return notes


def _filled(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields that are not empty."""
    for name, value in fields.items():
        text = value.strip() if isinstance(value, str) else value
        if text is not None and text != "":
            yield name, text


def _shown(path: Path) -> str:
    return one_line(path.name)


def _version(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise ConfigurationError(f"orders file {path}: it cannot be read ({error.strerror or error})") from None
    return stat.st_size, stat.st_mtime_ns


def _check(path: Path, columns: Sequence[str], separator: str) -> None:
    """
    Check that a file has the columns that every order needs, and no misspelled field; report all mistakes at once.

    Args:
        path: The file.
        columns: The names in its lines.
        separator: The separator of the names in the first line of CSV; empty for JSON lines.

    Raises:
        ConfigurationError: It is not so. The message does not repeat the first line of a file without a header.
    """
    slips = _slips(tuple(columns))
    absent = [name for name in _NEEDED if name not in columns and name not in slips.values()]
    problems = [_as_absent(absent, columns, separator)] if absent else []
    if slips:
        problems.append(_as_slips(slips))
    if problems:
        message = "; ".join(problems)
        if separator and slips and not absent and all(map(_NAME.fullmatch, columns)):
            message += f". Its first line, corrected: {separator.join(slips.get(name, name) for name in columns)}"
        raise ConfigurationError(f"orders file {path}: {message}")


def _as_absent(absent: Sequence[str], columns: Sequence[str], separator: str) -> str:
    """The missing columns, and the content they should have."""
    fields = ", ".join(f"{name} ({_EXPLANATIONS[name]})" for name in absent)
    if not separator:
        return f"it has no {' and no '.join(absent)}: each line should have the field {fields}"
    names = [name if _NAME.fullmatch(name) else "..." for name in columns]
    found = f" (its first line has {first_of(names, _NAMED)})" if columns else ""
    return f"it has no {' and no '.join(absent)}: its first line should name a column {fields}{found}"


def _as_slips(slips: Mapping[str, str]) -> str:
    hints = "; ".join(f"{place((name,))} is not read: write {field}" for name, field in slips.items())
    return f"{hints}, or rename it if something else is meant"


@lru_cache(maxsize=256)
def _slips(names: tuple[str, ...]) -> Mapping[str, str]:
    """Names that are not fields, each with the missing field that it means."""
    absent = [field for field in _FIELDS if field not in names]
    slips: dict[str, str] = {}
    for name in names:
        if name not in _FIELDS and (meant := _meant(name, absent)):
            slips[name] = meant
            absent.remove(meant)
    return slips


def _meant(name: str, absent: Sequence[str]) -> str | None:
    """The field that a name closely resembles, or is another word for."""
    words = " ".join(re.findall("[a-z0-9]+", name.lower()))
    alike = get_close_matches(words.replace(" ", "_"), absent, n=1, cutoff=_ALIKE)
    return next(iter([*alike, *(field for field in absent if words in _MEANS.get(field, ()))]), None)


def _read(line: Line, path: Path, *, has_status: bool) -> tuple[Order | BrokenOrder, tuple[str, ...]]:
    """
    The order of a line, and the order's names, where they can be read.

    Args:
        line: The line.
        path: The file.
        has_status: Whether lines of the file say whether their orders are paid, so that each line must say it.
    """
    where = f"{_shown(path)} line {line.number}"
    if line.problem:
        return BrokenOrder(where, f"{where}: {line.problem}"), ()
    fields = dict(_filled(line.fields))
    try:
        sold, slips = _Sold.model_validate(fields), _slips(tuple(line.fields))
        problem = _as_slips(slips) if slips else None
        if has_status and sold.payment_status is None:
            problem = "field payment_status: it is blank, and other lines say it"
        if problem is None:
            order = sold.order
            return order, order.names
    except ValidationError as broken:
        problem = broken_fields(broken)
    try:
        named = _Named.model_validate(fields)
    except ValidationError:
        return BrokenOrder(where, f"{where}: {problem}"), ()
    return BrokenOrder(named.id, f"{where}: {problem}"), named.names
