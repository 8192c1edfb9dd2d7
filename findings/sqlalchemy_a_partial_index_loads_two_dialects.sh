#!/usr/bin/env bash
# SQLAlchemy 2.0.58: a table whose index says `sqlite_where` or `postgresql_where` loads both databases' dialects as it is
# defined, Postgres's with its classes for many drivers, before any engine is made and though no driver is installed: a short
# command that reads a SQLite file pays for both.
# Guessed: such an option is a word that is kept until the DDL is written.
# Seen (Python 3.11):
#   plain index: none
#   partial index: asyncpg, base, pg8000, psycopg, psycopg2, psycopg2cffi, pysqlite
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sqlalchemy==2.0.58
cat > "$folder/try.py" <<'PYTHON'
import sys

from sqlalchemy import Column, Index, Integer, MetaData, Table, text

names = {"asyncpg", "base", "pg8000", "psycopg", "psycopg2", "psycopg2cffi", "pysqlite"}
partial = {"sqlite_where": text("open"), "postgresql_where": text("open")} if sys.argv[1] == "partial" else {}
Table("sales", MetaData(), Column("id", Integer), Index("ix_sales_open", "id", **partial))
loaded = {name.rpartition(".")[2] for name in sys.modules if name.startswith("sqlalchemy.dialects.")}
print(f"{sys.argv[1]} index: {', '.join(sorted(loaded & names)) or 'none'}")
PYTHON
for kind in plain partial; do "$folder/venv/bin/python" "$folder/try.py" "$kind"; done | tee "$folder/seen"
diff "$folder/seen" - <<'SEEN'
plain index: none
partial index: asyncpg, base, pg8000, psycopg, psycopg2, psycopg2cffi, pysqlite
SEEN
