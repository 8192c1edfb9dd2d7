#!/usr/bin/env bash
# pycountry 26.2.16: search_fuzzy, which puts what fits best first, answers "Niger" with Nigeria, which has a state of
# that name and whose own name begins so; that counts more than the country that is named so. Curaçao comes out as the
# Netherlands. All others find themselves by their names. Guessed: a country's exact name comes first.
# Seen (Python 3.11):
#   Curaçao: Netherlands first, then Curaçao
#   Niger: Nigeria first, then Niger
#   of 249 countries
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pycountry==26.2.16
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import pycountry

names = [(country, country.name) for country in pycountry.countries]
for country, name in names:
    first, *others = pycountry.countries.search_fuzzy(name)
    if first is not country:
        print(f"{name}: {first.name} first, then {', '.join(other.name for other in others)}")
print(f"of {len(names)} countries")
PYTHON
diff "$folder/seen" - <<'SEEN'
Curaçao: Netherlands first, then Curaçao
Niger: Nigeria first, then Niger
of 249 countries
SEEN
