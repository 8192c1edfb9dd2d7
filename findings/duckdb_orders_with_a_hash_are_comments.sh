#!/usr/bin/env bash
# DuckDB 2.0.1 takes a line of a CSV for a comment if it begins with # and the other lines are numbers without it: where
# a shop writes its orders as #1001 and another program, or the shop before it changed its settings, as 1002, all orders
# with the sign are gone, however many there are. If each order has it, or one of the others has a word, all rows are
# kept. The option comment='' keeps them, too, and pyarrow 26.0.1 knows no comments. No error or warning is told.
# Guessed: a column of text, with all rows, for nobody has said that the file has comments.
# Seen (Python 3.11):
#   #1001 1002 1003: 1002 1003, 11 trees of 16
#   #1001 #1002 1003: 1003, 6 trees of 16
#   #1001 #1002 #1003: #1001 #1002 #1003, 16 trees of 16
#   #1001 #1002 refund: #1001 #1002 refund, 16 trees of 16
#   #1001 1002 1003, comment='': #1001 1002 1003, 16 trees of 16
#   #1001 1002 1003, pyarrow: #1001 1002 1003, 16 trees of 16
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1 pyarrow==26.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import pathlib

import duckdb
import pyarrow.csv


def by_duckdb(**options):
    return duckdb.read_csv("orders.csv", **options).fetchall()


def by_pyarrow():
    return [tuple(row.values()) for row in pyarrow.csv.read_csv("orders.csv").to_pylist()]


def tell(name, orders, read):
    rows = zip(orders, (5, 5, 6))
    pathlib.Path("orders.csv").write_text("order,trees\n" + "".join(f"{order},{trees}\n" for order, trees in rows))
    read = read()
    print(f"{' '.join(orders)}{name}: {' '.join(str(order) for order, _ in read)}, {sum(n for _, n in read)} trees of 16")


for orders in ("#1001 1002 1003", "#1001 #1002 1003", "#1001 #1002 #1003", "#1001 #1002 refund"):
    tell("", orders.split(), by_duckdb)
tell(", comment=''", ["#1001", "1002", "1003"], lambda: by_duckdb(comment=""))
tell(", pyarrow", ["#1001", "1002", "1003"], by_pyarrow)
PYTHON
diff "$folder/seen" - <<'SEEN'
#1001 1002 1003: 1002 1003, 11 trees of 16
#1001 #1002 1003: 1003, 6 trees of 16
#1001 #1002 #1003: #1001 #1002 #1003, 16 trees of 16
#1001 #1002 refund: #1001 #1002 refund, 16 trees of 16
#1001 1002 1003, comment='': #1001 1002 1003, 16 trees of 16
#1001 1002 1003, pyarrow: #1001 1002 1003, 16 trees of 16
SEEN
