#!/usr/bin/env bash
# Prefect 3.9.1 takes a recurrence rule with the time zone of its start, as calendars export it, and drops that zone:
# nine in New York is nine in UTC, the schedule's zone unless another is given, and an explicit nine in UTC (with a Z)
# is nine in Berlin where the schedule says Berlin. dateutil 2.9.0.post0, which reads the rule, has the right moments,
# and Prefect's docs say that the zone of the start counts. Guessed: a start that names its zone means it. It matters
# where a run must come after the close of a day somewhere.
# Seen (Python 3.11):
#   DTSTART;TZID=America/New_York:20260601T090000, {}: 09:00 UTC, dateutil 13:00 UTC
#   DTSTART;TZID=America/New_York:20260601T090000, {'timezone': 'Europe/Berlin'}: 07:00 UTC, dateutil 13:00 UTC
#   DTSTART:20260601T090000Z, {}: 09:00 UTC, dateutil 09:00 UTC
#   DTSTART:20260601T090000Z, {'timezone': 'Europe/Berlin'}: 07:00 UTC, dateutil 09:00 UTC
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PREFECT_HOME="$folder/prefect"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet prefect==3.9.1 python-dateutil==2.9.0.post0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio
import datetime
import warnings

warnings.simplefilter("ignore")
from dateutil.rrule import rrulestr
from prefect.server.schemas.schedules import RRuleSchedule

UTC = datetime.timezone.utc
DAY = datetime.datetime(2026, 7, 1, tzinfo=UTC)


async def show():
    for start in ("DTSTART;TZID=America/New_York:20260601T090000", "DTSTART:20260601T090000Z"):
        rule = f"{start}\nRRULE:FREQ=DAILY"
        meant = rrulestr(rule).after(DAY).astimezone(UTC)
        for further in ({}, {"timezone": "Europe/Berlin"}):
            (run,) = await RRuleSchedule(rrule=rule, **further).get_dates(1, start=DAY)
            print(f"{start}, {further}: {run.astimezone(UTC):%H:%M} UTC, dateutil {meant:%H:%M} UTC")


asyncio.run(show())
PYTHON
diff "$folder/seen" - <<'SEEN'
DTSTART;TZID=America/New_York:20260601T090000, {}: 09:00 UTC, dateutil 13:00 UTC
DTSTART;TZID=America/New_York:20260601T090000, {'timezone': 'Europe/Berlin'}: 07:00 UTC, dateutil 13:00 UTC
DTSTART:20260601T090000Z, {}: 09:00 UTC, dateutil 09:00 UTC
DTSTART:20260601T090000Z, {'timezone': 'Europe/Berlin'}: 07:00 UTC, dateutil 09:00 UTC
SEEN
