#!/usr/bin/env bash
# recurrent 0.4.1, which makes recurrence rules of English sentences, passes over words that it does not know: "every half
# year" is every year, "every half month" every month and "every year and a half" every year. "every quarter" is None,
# though "every six months" and "every other month" are read as they are meant.
# "daily except sunday" leaves out one Sunday, the first one, where "daily except sundays" leaves out all of them.
# Guessed: every six months for half a year and every three for a quarter; the Sunday was seen along the way. It matters
# where a giver or a merchant says in words how often to give: half of what was promised is never asked for.
# Seen (Python 3.11), said on 2025-01-01:
#   every six months: INTERVAL=6;FREQ=MONTHLY
#   every half year: INTERVAL=1;FREQ=YEARLY
#   every half month: INTERVAL=1;FREQ=MONTHLY
#   every year and a half: INTERVAL=1;FREQ=YEARLY
#   every quarter: None
#   daily except sundays: INTERVAL=1;FREQ=DAILY, without BYDAY=SU;INTERVAL=1;FREQ=WEEKLY
#   daily except sunday: INTERVAL=1;FREQ=DAILY, without 20250105T000000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet recurrent==0.4.1
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import datetime

import recurrent

for words in (
    "every six months",
    "every half year",
    "every half month",
    "every year and a half",
    "every quarter",
    "daily except sundays",
    "daily except sunday",
):
    rule, *excepted = str(recurrent.RecurringEvent(now_date=datetime.datetime(2025, 1, 1)).parse(words)).splitlines()
    without = "".join(f", without {line.partition(':')[2]}" for line in excepted)
    print(f"{words}: {rule.removeprefix('RRULE:')}{without}")
PYTHON
diff "$folder/seen" - <<'SEEN'
every six months: INTERVAL=6;FREQ=MONTHLY
every half year: INTERVAL=1;FREQ=YEARLY
every half month: INTERVAL=1;FREQ=MONTHLY
every year and a half: INTERVAL=1;FREQ=YEARLY
every quarter: None
daily except sundays: INTERVAL=1;FREQ=DAILY, without BYDAY=SU;INTERVAL=1;FREQ=WEEKLY
daily except sunday: INTERVAL=1;FREQ=DAILY, without 20250105T000000
SEEN
