"""Days, weeks and months by a store's own calendar."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator

from impactflow.policy.fields import Text

#: Names whose meaning differs between machines.
_OF_THE_MACHINE = frozenset({"localtime", "Factory", "posixrules"})


def _is_known(name: str) -> str:
    if name not in available_timezones() - _OF_THE_MACHINE:
        raise ValueError("must be a time zone such as Europe/Berlin or UTC")
    return name


TimeZone = Annotated[Text, AfterValidator(_is_known)]


def period(per: str, now: datetime, time_zone: str) -> tuple[datetime, datetime]:
    """The beginning and the end, in UTC, of the ``day``, ``week`` or ``month`` of a time; a week begins on Monday."""
    first, after = _days(per, now.astimezone(ZoneInfo(time_zone)).date())
    return _midnight(first, time_zone), _midnight(after, time_zone)


def _days(per: str, day: date) -> tuple[date, date]:
    """The first day of the period of a day, and the first day after it."""
    match per:
        case "day":
            return day, day + timedelta(days=1)
        case "week":
            monday = day - timedelta(days=day.weekday())
            return monday, monday + timedelta(days=7)
        case _:
            first = day.replace(day=1)
            return first, (first + timedelta(days=32)).replace(day=1)


def _midnight(day: date, time_zone: str) -> datetime:
    """The beginning of a day in a time zone, in UTC."""
    return datetime.combine(day, time.min, ZoneInfo(time_zone)).astimezone(UTC)
