#!/usr/bin/env bash
# sqlite-utils 4.2.1 stores a Decimal as a number where it is a column of its own, and as the text "Decimal('0.30')"
# where it lies inside a dict or a list, which become JSON: there each value that JSON does not know is replaced by what
# Python would print for it, a day by "datetime.date(2025, 1, 31)". SQLite adds such texts up to 0.0, and no error is
# told. Guessed: the number and the day that the columns beside it have, or an error, as json.dumps raises. It matters
# where orders are stored with their lines and fees and added up later.
# Seen (Python 3.11):
#   id: 1
#   total: 10.5
#   day: '2025-01-31'
#   fee: '{"eur": "Decimal(\'0.30\')", "day": "datetime.date(2025, 1, 31)"}'
#   of both orders: total 21.0, fees 0.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sqlite-utils==4.2.1
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import datetime
from decimal import Decimal

import sqlite_utils

database = sqlite_utils.Database(memory=True)
day = datetime.date(2025, 1, 31)
database["orders"].insert_all(
    {"id": number, "total": Decimal("10.50"), "day": day, "fee": {"eur": Decimal("0.30"), "day": day}}
    for number in (1, 2)
)
for column, value in database["orders"].get(1).items():
    print(f"{column}: {value!r}")
(sums,) = database.query("select sum(total) as total, sum(json_extract(fee, '$.eur')) as fees from orders")
print(f"of both orders: total {sums['total']}, fees {sums['fees']}")
PYTHON
diff "$folder/seen" - <<'SEEN'
id: 1
total: 10.5
day: '2025-01-31'
fee: '{"eur": "Decimal(\'0.30\')", "day": "datetime.date(2025, 1, 31)"}'
of both orders: total 21.0, fees 0.0
SEEN
