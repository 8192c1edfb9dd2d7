#!/usr/bin/env bash
# polars 2.1.0 multiplies decimals and keeps no more digits than the longer of the two had: a twentieth of a tonne at
# 12.50 costs 0.62, and a percent of 5 cents is nothing, so the shares of a thousand such orders add up to 0.00, while
# the share of their sum is 0.50. Dividing does the same: a third of a whole decimal is 0. Guessed: the product of two
# decimals with two digits has four, as in DuckDB 2.0.1 and in Python. It matters where a share of each order is given.
# Seen (Python 3.11):
#   polars: 0.62 for 0.05 t at 12.50, 0.00 of each order, 0.50 of their sum
#   duckdb: 0.6250 for 0.05 t at 12.50, 0.5000 of each order, 0.5000 of their sum
#   polars: 1 / 3 is 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet polars==2.1.0 duckdb==2.0.1
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from decimal import Decimal

import duckdb
import polars

share, one = Decimal("0.01"), Decimal("0.05")
orders = polars.DataFrame({"amount": [one] * 1000, "tonnes": [one] * 1000, "price": [Decimal("12.50")] * 1000})
amount = polars.col.amount
seen = orders.select(
    cost=(polars.col.tonnes * polars.col.price).first(), each=(amount * share).sum(), all=amount.sum() * share
).row(0)
print("polars: {} for 0.05 t at 12.50, {} of each order, {} of their sum".format(*seen))
duckdb.sql("create table orders as select 0.05::decimal(10,2) as amount from range(1000)")
((cost, each, all),) = duckdb.sql(
    "select 0.05::decimal(10,2) * 12.50::decimal(10,2), sum(amount * 0.01::decimal(3,2)),"
    " sum(amount) * 0.01::decimal(3,2) from orders"
).fetchall()
print(f"duckdb: {cost} for 0.05 t at 12.50, {each} of each order, {all} of their sum")
third = polars.DataFrame({"a": [Decimal(1)], "b": [Decimal(3)]}).select(polars.col.a / polars.col.b).item()
print(f"polars: 1 / 3 is {third}")
PYTHON
diff "$folder/seen" - <<'SEEN'
polars: 0.62 for 0.05 t at 12.50, 0.00 of each order, 0.50 of their sum
duckdb: 0.6250 for 0.05 t at 12.50, 0.5000 of each order, 0.5000 of their sum
polars: 1 / 3 is 0
SEEN
