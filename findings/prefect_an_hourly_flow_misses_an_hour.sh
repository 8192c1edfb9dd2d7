#!/usr/bin/env bash
# Prefect 3.9.1 leaves out an hour of an hourly interval schedule in the night when the clocks are set back: after 02:00
# of summer comes 03:00 of winter, two hours later, and whatever is shorter than a day loses what falls in between. Its
# own docs say that an hourly schedule fires every hour of UTC, and twice at what looks like the same hour. With the
# time zone UTC it does. On Python before 3.13, where pendulum (3.3.0) reckons for it. Guessed: as the docs say. It
# matters where each run reads the orders of the hour before it.
# Seen (Python 3.11):
#   every 60 minutes, Europe/Berlin, in UTC: 00:00 02:00 03:00 04:00 05:00
#   every 60 minutes, America/New_York, in UTC: 05:00 07:00 08:00 09:00 10:00
#   every 60 minutes, UTC, in UTC: 00:00 01:00 02:00 03:00 04:00
#   every 30 minutes, Europe/Berlin, in UTC: 00:00 00:30 02:00 02:30 03:00
#   every 30 minutes, America/New_York, in UTC: 05:00 05:30 07:00 07:30 08:00
#   every 30 minutes, UTC, in UTC: 00:00 00:30 01:00 01:30 02:00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PREFECT_HOME="$folder/prefect"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet prefect==3.9.1 pendulum==3.3.0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio
import datetime
import warnings

warnings.simplefilter("ignore")
from prefect.server.schemas.schedules import IntervalSchedule

UTC = datetime.timezone.utc


async def show():
    for minutes in (60, 30):
        for zone in ("Europe/Berlin", "America/New_York", "UTC"):
            schedule = IntervalSchedule(
                interval=datetime.timedelta(minutes=minutes),
                anchor_date=datetime.datetime(2026, 1, 1, tzinfo=UTC),
                timezone=zone,
            )
            set_back = (2026, 11, 1, 5) if zone == "America/New_York" else (2026, 10, 25)
            dates = await schedule.get_dates(5, start=datetime.datetime(*set_back, tzinfo=UTC))
            runs = [run.astimezone(UTC) for run in dates]
            print(f"every {minutes} minutes, {zone}, in UTC: {' '.join(f'{run:%H:%M}' for run in runs)}")


asyncio.run(show())
PYTHON
diff "$folder/seen" - <<'SEEN'
every 60 minutes, Europe/Berlin, in UTC: 00:00 02:00 03:00 04:00 05:00
every 60 minutes, America/New_York, in UTC: 05:00 07:00 08:00 09:00 10:00
every 60 minutes, UTC, in UTC: 00:00 01:00 02:00 03:00 04:00
every 30 minutes, Europe/Berlin, in UTC: 00:00 00:30 02:00 02:30 03:00
every 30 minutes, America/New_York, in UTC: 05:00 05:30 07:00 07:30 08:00
every 30 minutes, UTC, in UTC: 00:00 00:30 01:00 01:30 02:00
SEEN
