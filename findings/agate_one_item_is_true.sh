#!/usr/bin/env bash
# agate 1.14.2, which csvkit stands on, guesses what a column of an export holds by what all of its cells could be, and
# asks first whether they could be truths, then numbers, lengths of time and days. A column of items in which nobody
# bought more than one is true and false, first names that are months or weekdays are days of the year 1, and parcels of
# 10m are ten minutes. One cell more, a 2 or an Ana, and the same column is another type. Guessed: numbers and texts.
# Seen (Python 3.11):
#   1 1 0: Boolean, True True False
#   1 2 0: Number, 1 2 0
#   April June May: Date, 0001-04-01 0001-06-01 0001-05-01
#   April June Ana: Text, April June Ana
#   10m 20m: TimeDelta, 0:10:00 0:20:00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet agate==1.14.2
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import agate

for cells in (["1", "1", "0"], ["1", "2", "0"], ["April", "June", "May"], ["April", "June", "Ana"], ["10m", "20m"]):
    column = agate.Table([[cell] for cell in cells], ["column"]).columns[0]
    print(f"{' '.join(cells)}: {type(column.data_type).__name__}, {' '.join(map(str, column))}")
PYTHON
diff "$folder/seen" - <<'SEEN'
1 1 0: Boolean, True True False
1 2 0: Number, 1 2 0
April June May: Date, 0001-04-01 0001-06-01 0001-05-01
April June Ana: Text, April June Ana
10m 20m: TimeDelta, 0:10:00 0:20:00
SEEN
