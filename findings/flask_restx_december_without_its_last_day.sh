#!/usr/bin/env bash
# flask-restx 1.3.2 takes an interval that ends at 24:00, in ISO 8601 the midnight at a day's end, and lets it end at
# 00:00 of that same day, a whole day early: a report on December leaves out the 31st. aniso8601 10.0.1, which reads
# for it, makes 0 of the hour 24 and keeps the date; dateutil 2.9.0.post0 has the next day. Guessed: it ends on the 1st
# of January, or is refused.
# Seen (Python 3.11):
#   flask-restx: from 2025-12-01 00:00 to 2025-12-31 00:00
#   aniso8601: 2025-12-31 00:00
#   dateutil: 2026-01-01 00:00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet flask-restx==1.3.2 aniso8601==10.0.1 python-dateutil==2.9.0.post0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from aniso8601 import parse_datetime
from dateutil.parser import isoparse
from flask_restx import inputs

start, end = inputs.iso8601interval("2025-12-01T00:00Z/2025-12-31T24:00Z")
print(f"flask-restx: from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}")
for name, read in (("aniso8601", parse_datetime), ("dateutil", isoparse)):
    print(f"{name}: {read('2025-12-31T24:00Z'):%Y-%m-%d %H:%M}")
PYTHON
diff "$folder/seen" - <<'SEEN'
flask-restx: from 2025-12-01 00:00 to 2025-12-31 00:00
aniso8601: 2025-12-31 00:00
dateutil: 2026-01-01 00:00
SEEN
