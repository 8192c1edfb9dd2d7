#!/usr/bin/env bash
# pycel 1.0b30, which calculates a workbook's formulas in Python, lets EDATE run over the end of a month: one month
# after the 31st of January is the 3rd of March, and a month before the 31st of March as well, where Excel has the 28th
# of February. EOMONTH of the same arguments is right, so EDATE lies after the end of the month that it means. -2^2 is
# -4, and 4 in Excel. xlcalculator 0.5.0 has Excel's answers. Guessed: what Excel has. It matters for due dates and
# monthly plans that finance keeps in a workbook.
# Seen (Python 3.11):
#   EDATE(DATE(2025,1,31),1): pycel 2025-03-03, xlcalculator 2025-02-28
#   EDATE(DATE(2025,3,31),-1): pycel 2025-03-03, xlcalculator 2025-02-28
#   EDATE(DATE(2024,2,29),12): pycel 2025-03-01, xlcalculator 2025-02-28
#   EOMONTH(DATE(2025,1,31),1): pycel 2025-02-28, xlcalculator 2025-02-28
#   -2^2: pycel -4, xlcalculator 4
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycel==1.0b30 xlcalculator==0.5.0 openpyxl==3.1.5
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import datetime
import logging

import openpyxl
from pycel import ExcelCompiler
from xlcalculator import Evaluator, ModelCompiler

logging.disable()
FORMULAS = (
    "EDATE(DATE(2025,1,31),1)", "EDATE(DATE(2025,3,31),-1)", "EDATE(DATE(2024,2,29),12)", "EOMONTH(DATE(2025,1,31),1)",
    "-2^2",
)
workbook = openpyxl.Workbook()
for row, formula in enumerate(FORMULAS, 1):
    workbook.active.cell(row, 1, "=" + formula)
workbook.save("plan.xlsx")


def shown(formula, value):
    value = getattr(value, "value", value)
    if "DATE" in formula and not isinstance(value, datetime.datetime):
        value = datetime.datetime(1899, 12, 30) + datetime.timedelta(int(value))
    return f"{value:%Y-%m-%d}" if "DATE" in formula else f"{value:g}"


pycel, other = ExcelCompiler("plan.xlsx"), Evaluator(ModelCompiler().read_and_parse_archive("plan.xlsx"))
for row, formula in enumerate(FORMULAS, 1):
    cell = f"Sheet!A{row}"
    seen = [shown(formula, library.evaluate(cell)) for library in (pycel, other)]
    print(f"{formula}: pycel {seen[0]}, xlcalculator {seen[1]}")
PYTHON
diff "$folder/seen" - <<'SEEN'
EDATE(DATE(2025,1,31),1): pycel 2025-03-03, xlcalculator 2025-02-28
EDATE(DATE(2025,3,31),-1): pycel 2025-03-03, xlcalculator 2025-02-28
EDATE(DATE(2024,2,29),12): pycel 2025-03-01, xlcalculator 2025-02-28
EOMONTH(DATE(2025,1,31),1): pycel 2025-02-28, xlcalculator 2025-02-28
-2^2: pycel -4, xlcalculator 4
SEEN
