#!/usr/bin/env bash
# sqlglot 30.30.0 turns a query from one dialect of SQL into another, and keeps the numbers of weekdays as they are: Monday
# is 2 in MySQL's and Spark's DAYOFWEEK and in BigQuery's EXTRACT, where Sunday is 1, and 1 in DuckDB (2.0.1), where Sunday
# is 0. So the sales of Mondays are those of Tuesdays. MySQL's TIMESTAMPDIFF(MONTH, ...), which counts months that are over,
# becomes DuckDB's DATE_DIFF, which counts the firsts of a month in between: a month from January 31st to February 1st.
# Other differences are seen to, as division by zero, LOG and where NULLs are sorted, and no warning is told.
# Guessed: the weekday is adapted, and months are counted as in MySQL. It matters where a report moves to another database.
# Seen (Python 3.11):
#   from mysql: DAYOFWEEK(CAST(day AS DATE)) = 2, found Tuesday
#   from spark: DAYOFWEEK(CAST(day AS DATE)) = 2, found Tuesday
#   from bigquery: EXTRACT(DAYOFWEEK FROM day) = 2, found Tuesday
#   from mysql: DATE_DIFF('MONTH', joined, day), 1 from 2025-01-31 to 2025-02-01
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sqlglot==30.30.0 duckdb==2.0.1
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import duckdb
import sqlglot

database = duckdb.connect()
database.execute("create table sales as select date '2025-01-06' + i::integer as day from range(7) days(i)")
database.execute("create table givers as select date '2025-01-31' as joined, date '2025-02-01' as day")
for dialect, weekday in (
    ("mysql", "DAYOFWEEK(day)"),
    ("spark", "DAYOFWEEK(day)"),
    ("bigquery", "EXTRACT(DAYOFWEEK FROM day)"),
):
    query, = sqlglot.transpile(f"SELECT day FROM sales WHERE {weekday} = 2", read=dialect, write="duckdb")
    found = ", ".join(f"{day:%A}" for day, in database.execute(query).fetchall())
    print(f"from {dialect}: {query.partition(' WHERE ')[2]}, found {found}")
query, = sqlglot.transpile("SELECT TIMESTAMPDIFF(MONTH, joined, day) FROM givers", read="mysql", write="duckdb")
(months,), = database.execute(query).fetchall()
print(f"from mysql: {query.removeprefix('SELECT ').partition(' FROM ')[0]}, {months} from 2025-01-31 to 2025-02-01")
PYTHON
diff "$folder/seen" - <<'SEEN'
from mysql: DAYOFWEEK(CAST(day AS DATE)) = 2, found Tuesday
from spark: DAYOFWEEK(CAST(day AS DATE)) = 2, found Tuesday
from bigquery: EXTRACT(DAYOFWEEK FROM day) = 2, found Tuesday
from mysql: DATE_DIFF('MONTH', joined, day), 1 from 2025-01-31 to 2025-02-01
SEEN
