#!/usr/bin/env bash
# APScheduler 3.11.3 reads the name of a weekday at the start of a cron field and skips whatever follows it: "mon#1", the
# first Monday of a month in croniter 7.0.0 and cronsim 2.8, is every Monday, and "fri#L" and "mon/2" are every Friday and
# every Monday. Behind a number the same sign is refused, as "1#1" is. The day "lastfri" is the last day of a month.
# Guessed: the first Monday of each month, or an error as with "1#1". It matters where a monthly charge or statement is
# moved from one scheduler to another with its expression: it runs four times a month, and nothing is logged.
# Seen (Python 3.11):
#   croniter 0 0 * * mon#1: 01-06 02-03 03-03 04-07
#   cronsim 0 0 * * mon#1: 01-06 02-03 03-03 04-07
#   apscheduler 0 0 * * mon#1: 01-06 01-13 01-20 01-27
#   apscheduler 0 0 * * 1#1: ValueError
#   apscheduler 0 0 * * fri#L: 01-03 01-10 01-17 01-24
#   apscheduler 0 0 * * mon/2: 01-06 01-13 01-20 01-27
#   apscheduler day=lastfri: 01-31 02-28 03-31 04-30
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apscheduler==3.11.3 croniter==7.0.0 cronsim==2.8
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import datetime

import croniter
import cronsim
from apscheduler.triggers.cron import CronTrigger

NEW_YEAR = datetime.datetime(2025, 1, 1)


def fires(trigger):
    now, days = NEW_YEAR.replace(tzinfo=datetime.timezone.utc), []
    for _ in range(4):
        at = trigger.get_next_fire_time(None, now)
        days.append(f"{at:%m-%d}")
        now = at + datetime.timedelta(minutes=1)
    return " ".join(days)


expression = "0 0 * * mon#1"
for name, dates in (
    ("croniter", croniter.croniter(expression, NEW_YEAR).all_next(datetime.datetime)),
    ("cronsim", cronsim.CronSim(expression, NEW_YEAR)),
):
    print(f"{name} {expression}: {' '.join(f'{next(dates):%m-%d}' for _ in range(4))}")
for expression in (expression, "0 0 * * 1#1", "0 0 * * fri#L", "0 0 * * mon/2"):
    try:
        print(f"apscheduler {expression}: {fires(CronTrigger.from_crontab(expression, timezone='UTC'))}")
    except ValueError as error:
        print(f"apscheduler {expression}: {type(error).__name__}")
print("apscheduler day=lastfri:", fires(CronTrigger(day="lastfri", timezone="UTC")))
PYTHON
diff "$folder/seen" - <<'SEEN'
croniter 0 0 * * mon#1: 01-06 02-03 03-03 04-07
cronsim 0 0 * * mon#1: 01-06 02-03 03-03 04-07
apscheduler 0 0 * * mon#1: 01-06 01-13 01-20 01-27
apscheduler 0 0 * * 1#1: ValueError
apscheduler 0 0 * * fri#L: 01-03 01-10 01-17 01-24
apscheduler 0 0 * * mon/2: 01-06 01-13 01-20 01-27
apscheduler day=lastfri: 01-31 02-28 03-31 04-30
SEEN
