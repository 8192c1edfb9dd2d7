#!/usr/bin/env bash
# pyexcel-ods 0.6.0 reads an amount as text, "10.5 EUR", where its cell is formatted as a currency, and as the number
# 10.5 where it is not: a column of amounts is numbers or text by how it looks in LibreOffice. A percentage stays a
# number. Guessed: the value of such a cell, a number.
# Seen (Python 3.11):
#   number: 10.5
#   currency: '10.5 EUR'
#   percentage: 10.5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyexcel-ods==0.6.0 odfpy==1.4.1
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import tempfile
from pathlib import Path

import pyexcel_ods
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

row = TableRow()
for kind, shown in (("float", "10.5"), ("currency", "10.50 €"), ("percentage", "1050 %")):
    cell = TableCell(valuetype=kind, value="10.5", **({"currency": "EUR"} if kind == "currency" else {}))
    cell.addElement(P(text=shown))
    row.addElement(cell)
table = Table(name="orders")
table.addElement(row)
document = OpenDocumentSpreadsheet()
document.spreadsheet.addElement(table)
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "orders.ods")
    document.save(file)
    number, currency, percentage = pyexcel_ods.get_data(str(file))["orders"][0]
print(f"number: {number!r}\ncurrency: {currency!r}\npercentage: {percentage!r}")
PYTHON
diff "$folder/seen" - <<'SEEN'
number: 10.5
currency: '10.5 EUR'
percentage: 10.5
SEEN
