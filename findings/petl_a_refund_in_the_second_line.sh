#!/usr/bin/env bash
# petl 1.7.30 takes the fields of a file of JSON lines from its first line, and drops every other field of the lines
# below without a word: an order without refunds at the top, and the refunds of all others are gone. The same orders as
# one JSON array keep them, for there the first thousand are looked at, and `sample=1000` changes nothing for lines.
# Guessed: both forms of one file give the same table. It matters where a shop's export leaves out what does not apply.
# Seen (Python 3.11):
#   array: order, total, refunded; 50 left
#   lines: order, total; 80 left
#   lines, sample=1000: order, total; 80 left
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet petl==1.7.30
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import json

import petl

orders = [{"order": 1, "total": 50}, {"order": 2, "total": 30, "refunded": 30}]
with open("orders.json", "w") as file:
    json.dump(orders, file)
with open("orders.jsonl", "w") as file:
    file.writelines(json.dumps(order) + "\n" for order in orders)
for name, table in (
    ("array", petl.fromjson("orders.json")),
    ("lines", petl.fromjson("orders.jsonl", lines=True)),
    ("lines, sample=1000", petl.fromjson("orders.jsonl", lines=True, sample=1000)),
):
    kept = sum(row["total"] - (row.get("refunded") or 0) for row in petl.dicts(table))
    print(f"{name}: {', '.join(petl.header(table))}; {kept} left")
PYTHON
diff "$folder/seen" - <<'SEEN'
array: order, total, refunded; 50 left
lines: order, total; 80 left
lines, sample=1000: order, total; 80 left
SEEN
