#!/usr/bin/env bash
# xlsx2csv 0.8.6 takes a number for a date if its cell's format has one of the letters d, h, m, s and y, also between
# quotes. 2,500 in the format #,##0 "USD" is an amount in Excel and "us04" in the CSV, for number 2500 would be the 4th
# of a month; of any number of "tonnes" only the format is left, and half a tonne is noon. A refund, below zero, stays a
# number, as all do with "EUR" and "kg" and in openpyxl 3.1.5. No error is told. Guessed: the number, with its unit or
# without. It matters where finance keeps amounts, trees or tonnes in a sheet and they are read as CSV.
# Seen (Python 3.11):
#   #,##0.0 "EUR": 2500 | 10 | 0.5 | -10
#   #,##0.0 "USD": #,##0.0 "us04" | #,##0.0 "us09" | 12:00 | -10
#   0.0 "kg": 2500 | 10 | 0.500000 | -10
#   0.0 "tonnes": 0.0 "tonnes" | 0.0 "tonnes" | 12:00 | -10
#   0.0 "trees": 0.0 "trees" | 0.0 "trees" | 12:00 | -10
#   openpyxl, all of them: 2500 | 10 | 0.5 | -10
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xlsx2csv==0.8.6 xlsxwriter==3.3.1 openpyxl==3.1.5
cat > "$folder/sheet.py" <<'PYTHON'
import csv

import openpyxl
import xlsxwriter
from xlsx2csv import Xlsx2csv

formats = ['#,##0.0 "EUR"', '#,##0.0 "USD"', '0.0 "kg"', '0.0 "tonnes"', '0.0 "trees"']
with xlsxwriter.Workbook("export.xlsx") as book:
    sheet = book.add_worksheet()
    for row, shown in enumerate(formats):
        for column, number in enumerate((2500, 10, 0.5, -10)):
            sheet.write_number(row, column, number, book.add_format({"num_format": shown}))
Xlsx2csv("export.xlsx").convert("export.csv")
with open("export.csv", newline="") as file:
    for shown, cells in zip(formats, csv.reader(file)):
        print(f"{shown}: {' | '.join(cells)}")
for row in set(openpyxl.load_workbook("export.xlsx").active.iter_rows(values_only=True)):
    print(f"openpyxl, all of them: {' | '.join(map(str, row))}")
PYTHON
(cd "$folder" && venv/bin/python sheet.py) | tee "$folder/seen"
diff "$folder/seen" - <<'SEEN'
#,##0.0 "EUR": 2500 | 10 | 0.5 | -10
#,##0.0 "USD": #,##0.0 "us04" | #,##0.0 "us09" | 12:00 | -10
0.0 "kg": 2500 | 10 | 0.500000 | -10
0.0 "tonnes": 0.0 "tonnes" | 0.0 "tonnes" | 12:00 | -10
0.0 "trees": 0.0 "trees" | 0.0 "trees" | 12:00 | -10
openpyxl, all of them: 2500 | 10 | 0.5 | -10
SEEN
