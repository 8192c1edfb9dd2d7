"""
Read a file of the European Central Bank's euro foreign exchange reference rates, and convert its rates to USD.

A person downloads the file; nothing here touches the network. The bank publishes one rate for each currency and
business day at about 16:00 CET: units of the currency for one euro. Weekends and TARGET closing days have none.

    eurofxref-daily.xml              <Cube time='2026-09-23'><Cube currency='USD' rate='1.1234'/>...</Cube>
    eurofxref-hist.xml, -hist-90d    the same, one <Cube time> for each day
    eurofxref.csv                    Date, USD, JPY, ZAR,  /  23 September 2026, 1.1234, 165.12, 18.9010,
    eurofxref-hist.csv               Date,USD,JPY,ZAR,     /  2026-09-23,1.1234,165.12,18.901,   newest day first

Each CSV file comes in a zip. Every line of a CSV file ends with a comma. A currency without a rate is absent (XML,
daily CSV) or ``N/A`` (history): RUB since 2022-03-02, ISK from the end of 2008 to 2018, and currencies that the euro
has replaced.

Source: https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates/html/index.en.html for
the published rates and their times; read 2026-11-28 as stored on 2020-12-28. The page does not describe the format of
the files: the forms above are those of copies of the files from 2019 to 2026-09-23.
"""

import re
import zipfile
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from xml.parsers import expat

from impactflow.errors import ConfigurationError

#: The digits of the USD for one unit of a currency; the bank's own rates have five to seven.
SIGNIFICANT_DIGITS = 6
_ROUNDED = Context(prec=SIGNIFICANT_DIGITS, rounding=ROUND_HALF_EVEN)
#: The longest time without new rates: from Thursday to the Tuesday after Easter, before that day's rates come out.
_LONGEST_GAP = timedelta(days=5)
#: The most bytes of a file; the largest one, the whole history in XML, has about 8 MB.
_MOST_BYTES = 32 * 1024 * 1024
_CUBE = "http://www.ecb.int/vocabulary/2002-08-01/eurofxref Cube"
#: English names, since those of the machine may be in another language.
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_Days = dict[date, dict[str, Decimal]]


class _Unreadable(Exception):
    """The file is not as the bank publishes it; the text says why, as the end of "FILE ..."."""


@dataclass(frozen=True)
class ReferenceRates:
    """
    The reference rates of one day.

    Args:
        day: The business day of the rates.
        per_euro: Units of each currency for one euro; EUR itself is 1.
        last_days: The last day, up to ``day``, on which the file has a rate for each currency.
    """

    day: date
    per_euro: Mapping[str, Decimal]
    last_days: Mapping[str, date]

    def usd_per(self, currency: str) -> Decimal | None:
        """Return the USD for one unit of a currency, rounded once, half to even; None where the day has no rate."""
        rate = self.per_euro.get(currency)
        return None if rate is None else _plain(_ROUNDED.divide(self.per_euro["USD"], rate))


def read_reference_rates(file: Path, on: date | None = None) -> ReferenceRates:
    """
    Read the rates of one day.

    Args:
        file: One of the bank's files, or the zip of one.
        on: The day; where it has no rates, the last business day before it counts. By default the newest in the file.

    Raises:
        ConfigurationError: The file cannot be read, is not one of the bank's files, or has no rates for that day.
    """
    try:
        content = _unzipped(_content(file)).removeprefix(BOM_UTF8)
        days = _from_xml(content) if content.lstrip().startswith(b"<") else _from_csv(content)
        day = _chosen(days, on)
    except _Unreadable as why:
        hint = (
            "download eurofxref-daily.xml, eurofxref.zip or eurofxref-hist.zip from the European Central Bank again,"
            " and give it as it is"
        )
        raise ConfigurationError(f"{file} {why}: {hint}") from None
    last_days = {currency: each for each in sorted(days) if each <= day for currency in days[each]}
    return ReferenceRates(day, MappingProxyType({"EUR": Decimal(1)} | days[day]), MappingProxyType(last_days))


def _chosen(days: _Days, on: date | None) -> date:
    if not days:
        raise _Unreadable("holds no reference rates")
    day = max(days) if on is None else max((day for day in days if on - _LONGEST_GAP <= day <= on), default=None)
    if day is None:
        raise _Unreadable(f"has no rates of {on} or the days before it (it has those of {min(days)} to {max(days)})")
    if "USD" not in days[day]:
        raise _Unreadable(f"has no rate for USD on {day}, through which all others are converted")
    return day


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return _bounded(opened.read(_MOST_BYTES + 1))
    except OSError as failed:
        raise _Unreadable(f"cannot be read ({failed.strerror})") from None


def _bounded(content: bytes) -> bytes:
    if len(content) > _MOST_BYTES:
        raise _Unreadable(f"is larger than {_MOST_BYTES // 1024**2} MiB")
    return content


def _unzipped(content: bytes) -> bytes:
    """Return the content of a zip with one file; return any other content unchanged."""
    if not content.startswith(b"PK"):
        return content
    try:
        with zipfile.ZipFile(BytesIO(content)) as packed:
            names = packed.namelist()
            if len(names) != 1:
                raise _Unreadable(f"is a zip of {len(names)} files instead of one")
            with packed.open(names[0]) as unpacked:
                return _bounded(unpacked.read(_MOST_BYTES + 1))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError):  # torn, encrypted, exotic
        raise _Unreadable("is a zip that cannot be unpacked") from None


def _from_xml(content: bytes) -> _Days:
    """
    Read the rates of each day.

    A DOCTYPE is refused, and with it every entity: the bank's files have none, and entities could grow without bound.
    """
    days: _Days = {}
    latest: list[dict[str, Decimal]] = []

    def refuse(*_: object) -> None:
        raise _Unreadable("has a DOCTYPE, as web pages have and the bank's files have not")

    def read(name: str, attributes: dict[str, str]) -> None:
        if name != _CUBE:
            return
        if "time" in attributes:
            day = _day(attributes["time"])
            latest.append(_once(days, day, {}))
        elif "currency" in attributes:
            if not latest:
                raise _Unreadable("has a rate before the first day")
            _add(latest[-1], attributes["currency"], attributes.get("rate", ""))

    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = read
    try:
        parser.Parse(content, True)
    except expat.ExpatError as broken:
        raise _Unreadable(f"is torn or no XML (line {broken.lineno}: {expat.ErrorString(broken.code)})") from None
    return days


def _from_csv(content: bytes) -> _Days:
    """Read the rates of each day. A line with fewer or more values than the first is torn or was changed."""
    lines = _lines(content)
    _, head = next(lines, (0, []))
    if head[:1] != ["Date"] or len(head) == 1:
        raise _Unreadable('is no file of reference rates (its first line is not "Date, USD, ..." with commas)')
    days: _Days = {}
    for number, (day, *values) in lines:
        if len(values) != len(head) - 1:
            raise _Unreadable(
                f"is torn or was changed (line {number}: {len(values)} values for {len(head) - 1} columns)"
            )
        rates = _once(days, _day(day), {})
        for currency, value in zip(head[1:], values, strict=True):
            if currency or value:  # the comma at the end of each line makes an empty column
                _add(rates, currency, value)
    return days


def _lines(content: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise _Unreadable("is no text") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, [value.strip() for value in line.split(",")]


def _once(days: _Days, day: date, rates: dict[str, Decimal]) -> dict[str, Decimal]:
    if day in days:
        raise _Unreadable(f"has {day} twice")
    days[day] = rates
    return rates


def _add(rates: dict[str, Decimal], currency: str, value: str) -> None:
    """Add one rate; ``N/A`` adds none."""
    if not re.fullmatch("[A-Z]{3}", currency):
        raise _Unreadable(f"names {currency[:20]!r} where a currency should stand")
    if currency in rates:
        raise _Unreadable(f"has {currency} twice")
    if value in {"N/A", ""}:
        return
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value) or not Decimal(value):
        raise _Unreadable(f"has {value[:20]!r} where the rate for {currency} should stand")
    rates[currency] = Decimal(value)


def _day(text: str) -> date:
    """Read a day such as 2026-09-23, or 23 September 2026."""
    try:
        if words := re.fullmatch(r"([0-9]{1,2}) ([A-Z][a-z]+) ([0-9]{4})", text):
            day, month, year = words.groups()
            return date(int(year), _MONTHS.index(month) + 1, int(day))
        if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise _Unreadable(f"has {text[:20]!r} where a day should stand")


def _plain(number: Decimal) -> Decimal:
    """Return the number without zeros at its end and without an exponent."""
    text = f"{number:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)
