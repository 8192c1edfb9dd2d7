#!/usr/bin/env bash
# num2words 0.5.14 writes out the amount of a receipt, and takes an int for cents, a float, a Decimal or a text for
# euros: a donation of 50 EUR that came out of JSON as 50 is acknowledged as 50 cents, one of 50.5 EUR rightly.
# Guessed: the type of the number does not matter.
# Seen (Python 3.11):
#   50: zero euro, fifty cents
#   50.0: fifty euro, zero cents
#   Decimal('50'): fifty euro, zero cents
#   '50': fifty euro, zero cents
#   50.5: fifty euro, fifty cents
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet num2words==0.5.14
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from decimal import Decimal

from num2words import num2words

for amount in (50, 50.0, Decimal(50), "50", 50.5):
    print(f"{amount!r}: {num2words(amount, to='currency', currency='EUR')}")
PYTHON
diff "$folder/seen" - <<'SEEN'
50: zero euro, fifty cents
50.0: fifty euro, zero cents
Decimal('50'): fifty euro, zero cents
'50': fifty euro, zero cents
50.5: fifty euro, fifty cents
SEEN
