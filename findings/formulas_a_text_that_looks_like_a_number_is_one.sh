#!/usr/bin/env bash
# formulas 1.3.4, which calculates a workbook in Python, takes a cell that holds the text "5" for a text and for a number
# at once: ISTEXT and ISNUMBER both say TRUE, and COUNT counts it. So do an order "12E4", which doubles to 240000, and a
# company called "inf". "1,000" is a text only. In Excel none is a number, and so it is in xlcalculator 0.5.0, but both
# libraries add such a text in SUM, which leaves texts out in Excel. ROUND(1.005,2) is 1, and 1.01 in Excel.
# Guessed: ISNUMBER of a text is FALSE, and half a cent is rounded up. It matters where a sheet asks ISNUMBER which
# amounts came in as text, and is tested in Python: what is caught in Excel passes here.
# Seen (Python 3.11):
#   '5': ISNUMBER True, ISTEXT True, doubled 10; xlcalculator: ISNUMBER False
#   '12E4': ISNUMBER True, ISTEXT True, doubled 240000; xlcalculator: ISNUMBER False
#   'inf': ISNUMBER True, ISTEXT True, doubled #NUM!; xlcalculator: ISNUMBER False
#   '1,000': ISNUMBER False, ISTEXT True, doubled 0; xlcalculator: ISNUMBER False
#   '5' and 7: formulas SUM 12, COUNT 2; xlcalculator SUM 12, COUNT 1
#   ROUND(1.005,2): formulas 1, xlcalculator 1.01
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "formulas[excel]==1.3.4" xlcalculator==0.5.0 openpyxl==3.1.5
cd "$folder"
"$folder/venv/bin/python" - 2> "$folder/errors" <<'PYTHON' | tee "$folder/seen"
import formulas
import openpyxl
import xlcalculator

TEXTS = ("5", "12E4", "inf", "1,000")
book = openpyxl.Workbook()
sheet = book.active
for row, text in enumerate(TEXTS, 1):
    sheet[f"A{row}"] = text
    sheet[f"B{row}"] = f"=ISNUMBER(A{row})"
    sheet[f"C{row}"] = f"=ISTEXT(A{row})"
    sheet[f"D{row}"] = f"=IF(ISNUMBER(A{row}),A{row}*2,0)"
sheet["E1"], sheet["E2"] = "5", 7
sheet["F1"], sheet["F2"], sheet["F3"] = "=SUM(E1:E2)", "=COUNT(E1:E2)", "=ROUND(1.005,2)"
book.save("orders.xlsx")

solution = formulas.ExcelModel().loads("orders.xlsx").finish().calculate()
cells = {str(name).rpartition("!")[2]: value.value[0, 0] for name, value in solution.items() if "!" in str(name)}
evaluator = xlcalculator.Evaluator(xlcalculator.ModelCompiler().read_and_parse_archive("orders.xlsx"))


def number(value):
    return f"{float(value):g}" if isinstance(value, (int, float)) else str(value)


def theirs(cell):
    value = evaluator.evaluate(f"Sheet!{cell}")
    return getattr(value, "value", value)


for row, text in enumerate(TEXTS, 1):
    ours = f"ISNUMBER {bool(cells[f'B{row}'])}, ISTEXT {bool(cells[f'C{row}'])}, doubled {number(cells[f'D{row}'])}"
    print(f"{text!r}: {ours}; xlcalculator: ISNUMBER {bool(theirs(f'B{row}'))}")
print(f"'5' and 7: formulas SUM {number(cells['F1'])}, COUNT {number(cells['F2'])}; "
      f"xlcalculator SUM {number(theirs('F1'))}, COUNT {number(theirs('F2'))}")
print(f"ROUND(1.005,2): formulas {number(cells['F3'])}, xlcalculator {number(theirs('F3'))}")
PYTHON
diff "$folder/seen" - <<'SEEN'
'5': ISNUMBER True, ISTEXT True, doubled 10; xlcalculator: ISNUMBER False
'12E4': ISNUMBER True, ISTEXT True, doubled 240000; xlcalculator: ISNUMBER False
'inf': ISNUMBER True, ISTEXT True, doubled #NUM!; xlcalculator: ISNUMBER False
'1,000': ISNUMBER False, ISTEXT True, doubled 0; xlcalculator: ISNUMBER False
'5' and 7: formulas SUM 12, COUNT 2; xlcalculator SUM 12, COUNT 1
ROUND(1.005,2): formulas 1, xlcalculator 1.01
SEEN
