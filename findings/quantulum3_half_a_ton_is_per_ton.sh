#!/usr/bin/env bash
# quantulum3 0.9.2 reads "half a ton of CO2" as 0.5 of the unit "per ton", of an unknown kind, and so with kilograms,
# pounds and dollars: an article behind a number counts as a division. "half ton" and "a ton" are tons, and "a quarter
# of a ton" is two things, a number and a whole ton.
# Guessed: half a ton is 0.5 ton, as half ton and 0.5 ton are, or nothing is found. It matters where amounts are taken
# out of sellers' sentences and added up by their unit: the half is left out, and the quarter counts four times.
# Seen (Python 3.11):
#   half a ton of CO2: 0.5 per ton (unknown)
#   half a kilogram: 0.5 per kilogram (unknown)
#   half a dollar: 0.5 per dollar (unknown)
#   half ton: 0.5 ton (mass)
#   a ton of CO2: 1.0 ton (mass)
#   a quarter of a ton: 0.25 dimensionless (dimensionless), 1.0 ton (mass)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet quantulum3==0.9.2
"$folder/venv/bin/python" -W ignore - <<'PYTHON' | tee "$folder/seen"
from quantulum3 import parser

for text in (
    "half a ton of CO2", "half a kilogram", "half a dollar", "half ton", "a ton of CO2", "a quarter of a ton"
):
    found = (f"{each.value} {each.unit.name} ({each.unit.entity.name})" for each in parser.parse(text))
    print(f"{text}: {', '.join(found)}")
PYTHON
diff "$folder/seen" - <<'SEEN'
half a ton of CO2: 0.5 per ton (unknown)
half a kilogram: 0.5 per kilogram (unknown)
half a dollar: 0.5 per dollar (unknown)
half ton: 0.5 ton (mass)
a ton of CO2: 1.0 ton (mass)
a quarter of a ton: 0.25 dimensionless (dimensionless), 1.0 ton (mass)
SEEN
