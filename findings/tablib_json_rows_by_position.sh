#!/usr/bin/env bash
# tablib 3.10.0 reads the rows of a JSON or YAML file by the place of their values, with the names of the first row for
# all: where a later order has the same names in another order, its amount lands in the column of its trees, and no
# error is told. A row whose names differ in number is one. tablib's own `dict` takes them so, too. Guessed: a value
# goes into the column of its name, as in JSON the names have no order. It matters where orders come out of two
# programs, or out of one that writes a corrected order anew.
# Seen (Python 3.11):
#   json: order, trees, amount: 1 2 10 | 2 500 100
#   yaml: order, trees: 1 2 | 100 2
#   dict: 502 trees for 110, not 102 for 510
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tablib==3.10.0 PyYAML==6.0.4
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import json

import tablib

orders = [{"order": 1, "trees": 2, "amount": 10}, {"order": 2, "amount": 500, "trees": 100}]
for name, data in (
    ("json", tablib.Dataset().load(json.dumps(orders), format="json")),
    ("yaml", tablib.Dataset().load("- {order: 1, trees: 2}\n- {trees: 100, order: 2}", format="yaml")),
):
    print(f"{name}: {', '.join(data.headers)}: {' | '.join(' '.join(map(str, row)) for row in data)}")
data = tablib.Dataset()
data.dict = orders
meant = sum(order["trees"] for order in orders), sum(order["amount"] for order in orders)
print(f"dict: {sum(data['trees'])} trees for {sum(data['amount'])}, not {meant[0]} for {meant[1]}")
PYTHON
diff "$folder/seen" - <<'SEEN'
json: order, trees, amount: 1 2 10 | 2 500 100
yaml: order, trees: 1 2 | 100 2
dict: 502 trees for 110, not 102 for 510
SEEN
