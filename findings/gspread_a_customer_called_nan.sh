#!/usr/bin/env bash
# gspread 6.2.1 makes numbers of a sheet's cells by asking whether Python's float takes them. So a customer whose first
# name is Nan and a company called Infinity are floats that no JSON has, and order 12E4 is 120000.0, though it is careful
# with underscores, which float takes too. Guessed: a name of letters stays a name.
# Seen (Python 3.11):
#   Nan: nan
#   Infinity: inf
#   12E4: 120000.0
#   Ana: 'Ana'
#   1_000: '1_000'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gspread==6.2.1
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from gspread.utils import numericise_all, to_records

cells = ["Nan", "Infinity", "12E4", "Ana", "1_000"]
for cell, record in zip(cells, to_records(["cell"], [numericise_all([cell]) for cell in cells])):
    print(f"{cell}: {record['cell']!r}")
PYTHON
diff "$folder/seen" - <<'SEEN'
Nan: nan
Infinity: inf
12E4: 120000.0
Ana: 'Ana'
1_000: '1_000'
SEEN
