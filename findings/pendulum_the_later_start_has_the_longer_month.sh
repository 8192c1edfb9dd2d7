#!/usr/bin/env bash
# pendulum 3.3.0 counts a whole month from the 31st of January to the 28th of February, and none from the 30th or the
# 29th, which are earlier: who came a day later has been there longer. A year from a 29th of February to the next 28th
# is 11 months and 30 days, though adding a year to that day leads there. dateutil 2.9.0.post0 has a whole month and
# year each time. Guessed: one month for all of them, or none. It matters where a subscription is paid by full months.
# Seen (Python 3.11):
#   2025-01-29 to 2025-02-28: 0 months (4 weeks 2 days), 0 years; dateutil 1 months
#   2025-01-30 to 2025-02-28: 0 months (4 weeks 1 day), 0 years; dateutil 1 months
#   2025-01-31 to 2025-02-28: 1 months (1 month), 0 years; dateutil 1 months
#   2024-02-29 to 2025-02-28: 11 months (11 months 4 weeks 2 days), 0 years; dateutil 12 months
#   2024-02-29 and a year: 2025-02-28
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pendulum==3.3.0 python-dateutil==2.9.0.post0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import pendulum
from dateutil.relativedelta import relativedelta

for first, last in (("2025-01-29", "2025-02-28"), ("2025-01-30", "2025-02-28"), ("2025-01-31", "2025-02-28"),
                    ("2024-02-29", "2025-02-28")):
    start, end = pendulum.parse(first).date(), pendulum.parse(last).date()
    counted, other = pendulum.interval(start, end), relativedelta(end, start)
    print(
        f"{start} to {end}: {counted.in_months()} months ({counted.in_words()}), {counted.in_years()} years;"
        f" dateutil {other.years * 12 + other.months} months"
    )
print(f"2024-02-29 and a year: {pendulum.date(2024, 2, 29).add(years=1)}")
PYTHON
diff "$folder/seen" - <<'SEEN'
2025-01-29 to 2025-02-28: 0 months (4 weeks 2 days), 0 years; dateutil 1 months
2025-01-30 to 2025-02-28: 0 months (4 weeks 1 day), 0 years; dateutil 1 months
2025-01-31 to 2025-02-28: 1 months (1 month), 0 years; dateutil 1 months
2024-02-29 to 2025-02-28: 11 months (11 months 4 weeks 2 days), 0 years; dateutil 12 months
2024-02-29 and a year: 2025-02-28
SEEN
