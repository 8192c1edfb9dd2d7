#!/usr/bin/env bash
# pint 0.25.3 has t, Mt and Gt for tonnes, and a gap between them: "kt", in which countries report what they emit, is a
# knot. Two usual abbreviations of the metric ton are something else, too: "mt" is a millitonne, a thousandth of what
# was meant, and "MT" a megatesla. Guessed: kt is 1,000 t like its neighbours, and mt and MT are not known.
# Seen (Python 3.11):
#   1 t is 1000 kg, a metric_ton
#   1 kt is 0.514444 m/s, a knot
#   1 Mt is 1×10⁹ kg, a megametric_ton
#   1 mt is 1 kg, a millimetric_ton
#   1 MT is 1×10⁶ kg/A/s², a megatesla
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pint==0.25.3
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import pint

units = pint.UnitRegistry()
for unit in ("t", "kt", "Mt", "mt", "MT"):
    base = units.Quantity(1, unit).to_base_units()
    print(f"1 {unit} is {base:.6g~P}, a {units.Quantity(1, unit).units}")
PYTHON
diff "$folder/seen" - <<'SEEN'
1 t is 1000 kg, a metric_ton
1 kt is 0.514444 m/s, a knot
1 Mt is 1×10⁹ kg, a megametric_ton
1 mt is 1 kg, a millimetric_ton
1 MT is 1×10⁶ kg/A/s², a megatesla
SEEN
