#!/usr/bin/env bash
# DuckDB 2.0.1 and polars 2.1.0 (with try_parse_dates) read March 4th in an American export, 03/04/2025, as the 3rd of
# April as long as no day in the file is after the 12th. Once one is, the same line is the 4th of March in DuckDB, and
# in polars the column is text. So what a line means hangs on the lines around it, and a shop's export changes its
# meaning within a month. Guessed: a column that can be read both ways stays text.
# Seen (Python 3.11):
#   03/04/2025 with 05/06/2025 below it: duckdb 2025-04-03, polars 2025-04-03
#   03/04/2025 with 05/13/2025 below it: duckdb 2025-03-04, polars 03/04/2025
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet duckdb==2.0.1 polars==2.1.0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import tempfile
from pathlib import Path

import duckdb
import polars

for rest in ("05/06/2025", "05/13/2025"):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "orders.csv")
        file.write_text(f"order,sold\nA1,03/04/2025\nA2,{rest}\n")
        by_duckdb = duckdb.sql(f"SELECT sold FROM '{file}'").fetchall()[0][0]
        by_polars = polars.read_csv(file, try_parse_dates=True)["sold"][0]
    print(f"03/04/2025 with {rest} below it: duckdb {by_duckdb!s}, polars {by_polars!s}")
PYTHON
diff "$folder/seen" - <<'SEEN'
03/04/2025 with 05/06/2025 below it: duckdb 2025-04-03, polars 2025-04-03
03/04/2025 with 05/13/2025 below it: duckdb 2025-03-04, polars 03/04/2025
SEEN
