#!/usr/bin/env bash
# clevercsv 0.8.5, which finds out what separates the columns of a CSV, splits a file that has one column only: addresses
# of mail at the @, names of companies at the blank, times at the colon and amounts with a decimal comma at the comma.
# The first row then has one cell and the others have two. Order numbers, days and amounts with a point stay whole, and
# so do the same names and times once a second column stands beside them.
# Guessed: a file without any comma, semicolon or tab has one column. It matters where a merchant sends a list of givers
# or of voucher codes: the names that are looked up are "Oak" and "Ash".
# Seen (Python 3.11):
#   email: split at '@', giver | oak.example
#   customer: split at ' ', Oak | Ltd
#   time: split at ':', 10 | 30
#   amount: split at ',', 10 | 50
#   order: not split, A-1001
#   customer,trees: split at ',', Oak Ltd | 5
#   time,trees: split at ',', 10:30 | 5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet clevercsv==0.8.5
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import io

import clevercsv

for lines in (
    ("email", "giver@oak.example", "shop@ash.example", "office@elm.example"),
    ("customer", "Oak Ltd", "Ash Ltd", "Elm Ltd"),
    ("time", "10:30", "11:00", "11:20"),
    ("amount", "10,50", "20,00", "7,25"),
    ("order", "A-1001", "A-1002", "A-1003"),
    ("customer,trees", "Oak Ltd,5", "Ash Ltd,6", "Elm Ltd,7"),
    ("time,trees", "10:30,5", "11:00,6", "11:20,7"),
):
    text = "\n".join(lines) + "\n"
    dialect = clevercsv.Sniffer().sniff(text)
    second = list(clevercsv.reader(io.StringIO(text), dialect))[1]
    how = f"split at {dialect.delimiter!r}" if dialect.delimiter else "not split"
    print(f"{lines[0]}: {how}, {' | '.join(second)}")
PYTHON
diff "$folder/seen" - <<'SEEN'
email: split at '@', giver | oak.example
customer: split at ' ', Oak | Ltd
time: split at ':', 10 | 30
amount: split at ',', 10 | 50
order: not split, A-1001
customer,trees: split at ',', Oak Ltd | 5
time,trees: split at ',', 10:30 | 5
SEEN
