#!/usr/bin/env bash
# price-parser 0.5.1 takes three digits behind the only point or comma for thousands, also where nothing but a zero
# stands before it: a kilogram of CO2 at "0.125 €" costs 125. With two or four digits it reads the fraction. Guessed:
# what begins with "0." is a fraction.
# Seen (Python 3.11):
#   0.12 €: 0.12
#   0.125 €: 125
#   0,125 €: 125
#   $0.005: 5
#   0.1250 €: 0.1250
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet price-parser==0.5.1
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from price_parser import Price

for text in ("0.12 €", "0.125 €", "0,125 €", "$0.005", "0.1250 €"):
    print(f"{text}: {Price.fromstring(text).amount}")
PYTHON
diff "$folder/seen" - <<'SEEN'
0.12 €: 0.12
0.125 €: 125
0,125 €: 125
$0.005: 5
0.1250 €: 0.1250
SEEN
