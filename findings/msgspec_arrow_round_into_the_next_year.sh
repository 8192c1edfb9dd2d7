#!/usr/bin/env bash
# msgspec 0.22.0 and arrow 1.4.0 round a moment to microseconds, upwards too: the last one of 2025, which .NET writes
# with seven digits, comes to lie in 2026, and a report on the year asks for one microsecond of the next. pydantic
# 2.14.4, pendulum 3.3.0 and Python itself cut the seventh digit off. Guessed: all of them do.
# Seen (Python 3.11):
#   msgspec: 2026-01-01T00:00:00+00:00
#   arrow: 2026-01-01T00:00:00+00:00
#   pydantic: 2025-12-31T23:59:59.999999+00:00
#   pendulum: 2025-12-31T23:59:59.999999+00:00
#   fromisoformat: 2025-12-31T23:59:59.999999+00:00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet msgspec==0.22.0 arrow==1.4.0 pydantic==2.14.4 pendulum==3.3.0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from datetime import datetime

import arrow
import msgspec
import pendulum
import pydantic

moment = "2025-12-31T23:59:59.9999999Z"
for name, read in (
    ("msgspec", lambda: msgspec.json.decode(f'"{moment}"', type=datetime)),
    ("arrow", lambda: arrow.get(moment)),
    ("pydantic", lambda: pydantic.TypeAdapter(datetime).validate_json(f'"{moment}"')),
    ("pendulum", lambda: pendulum.parse(moment)),
    ("fromisoformat", lambda: datetime.fromisoformat(moment)),
):
    print(f"{name}: {read().isoformat()}")
PYTHON
diff "$folder/seen" - <<'SEEN'
msgspec: 2026-01-01T00:00:00+00:00
arrow: 2026-01-01T00:00:00+00:00
pydantic: 2025-12-31T23:59:59.999999+00:00
pendulum: 2025-12-31T23:59:59.999999+00:00
fromisoformat: 2025-12-31T23:59:59.999999+00:00
SEEN
