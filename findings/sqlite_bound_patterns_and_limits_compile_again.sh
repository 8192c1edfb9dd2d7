#!/usr/bin/env bash
# SQLite 3.54.1 (apsw 3.54.1.0) compiles a cached statement anew at every execution if a parameter is the pattern of a LIKE
# or GLOB, or the number of a LIMIT, even if the parameter is the same as before and even in a part that is never
# reached: the plan may depend on the value, so binding one throws the compiled statement away. The authorizer, which is
# asked while a statement is compiled, shows it. A pattern that is put together in the statement is compiled once.
# Guessed: a statement from the cache is compiled once, as with every other parameter; a short query that ran once for
# each purchase took twice its time. Seen: questions to the authorizer at the first, second and third execution.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet apsw==3.54.1.0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import apsw

print("SQLite", apsw.sqlite_lib_version())
ledger = apsw.Connection(":memory:")
ledger.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT, amount INTEGER)")
ledger.execute("INSERT INTO orders (name, amount) VALUES ('shop:1', 5), ('till:2', 6)")
asked = []
ledger.authorizer = lambda *_: asked.append(1) or apsw.SQLITE_OK

for condition, value in (
    ("WHERE name = ?", "shop:1"),
    ("WHERE name >= ?", "shop:"),
    ("WHERE name LIKE 'shop:' || ?", "%"),
    ("WHERE name LIKE ?", "shop:%"),
    ("WHERE name GLOB ?", "shop:*"),
    ("WHERE amount > 100 AND name LIKE ?", "shop:%"),
    ("LIMIT ?", 1),
):
    counts = []
    for _ in range(3):
        before = len(asked)
        ledger.execute(f"SELECT id FROM orders {condition}", (value,)).fetchall()
        counts.append(len(asked) - before)
    print(f"{condition}: {counts[0]} {counts[1]} {counts[2]}")
PYTHON
diff "$folder/seen" - <<'SEEN'
SQLite 3.54.1
WHERE name = ?: 3 0 0
WHERE name >= ?: 3 0 0
WHERE name LIKE 'shop:' || ?: 4 0 0
WHERE name LIKE ?: 8 4 4
WHERE name GLOB ?: 8 4 4
WHERE amount > 100 AND name LIKE ?: 10 5 5
LIMIT ?: 6 3 3
SEEN
