#!/usr/bin/env bash
# CurrencyConverter 0.18.23, told to fall back where the European Central Bank has published no rate, gives a Saturday's
# order a rate between Friday's and the next Monday's: one that nobody published, and that nobody could know on that day.
# Guessed: the last one that was published.
# Seen (Python 3.11):
#   Friday 1.0857, Saturday 1.0853, Sunday 1.0849, Monday 1.0845
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet CurrencyConverter==0.18.23
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from datetime import date

from currency_converter import CurrencyConverter

converter = CurrencyConverter(fallback_on_missing_rate=True)
days = [date(2025, 3, day) for day in (7, 8, 9, 10)]
print(", ".join(f"{day:%A} {converter.convert(1, 'EUR', 'USD', date=day):.4f}" for day in days))
PYTHON
diff "$folder/seen" - <<'SEEN'
Friday 1.0857, Saturday 1.0853, Sunday 1.0849, Monday 1.0845
SEEN
