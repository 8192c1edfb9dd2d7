#!/usr/bin/env bash
# XlsxWriter 3.3.1 makes a link of a text that begins with "internal:" or "external:", and cuts that word off what the
# cell holds: the accounts internal:reserve and external:reserve are both "reserve" in the sheet, and whoever adds up by
# account adds them together. pandas 2.3.3 writes so where this engine is used. write_string keeps the whole text.
# Guessed: only web addresses become links, and no text is shortened.
# Seen (Python 3.11):
#   internal:reserve is reserve
#   external:reserve is reserve
#   assets:bank is assets:bank
#   by account: {'reserve': 140, 'assets:bank': 5}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet XlsxWriter==3.3.1 openpyxl==3.1.5 pandas==2.3.3
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import collections

import openpyxl
import pandas

ACCOUNTS = (("internal:reserve", 100), ("external:reserve", 40), ("assets:bank", 5))
pandas.DataFrame(ACCOUNTS).to_excel("ledger.xlsx", engine="xlsxwriter", header=False, index=False)
sums = collections.Counter()
for (written, amount), (read, _) in zip(ACCOUNTS, openpyxl.load_workbook("ledger.xlsx").active.values):
    sums[read] += amount
    print(f"{written} is {read}")
print("by account:", dict(sums))
PYTHON
diff "$folder/seen" - <<'SEEN'
internal:reserve is reserve
external:reserve is reserve
assets:bank is assets:bank
by account: {'reserve': 140, 'assets:bank': 5}
SEEN
