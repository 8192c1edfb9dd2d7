#!/usr/bin/env bash
# word2number 1.1 counts the end of "one million five hundred thousand" twice, as 500,000 and as 1,500: 1501500. So it
# does with each number of millions that ends with thousands, "two million ten thousand" is 2011010, and one more word
# behind it, as "and two", makes it right. "one point five million" is 1, for only digits count behind the point. Words
# that it does not know are passed over: "half a million" is a whole one, "three dozen" is 3. text2num 3.1.0 reads the
# first ones right and makes two numbers of the point, "1.5 1000000".
# Guessed: 1,500,000 for one million five hundred thousand and for one point five million, and errors for half and
# dozen. It matters where the number of trees is taken out of what a seller wrote or said.
# Seen (Python 3.11):
#   one million five hundred thousand: 1501500, text2num 1500000
#   two million ten thousand: 2011010, text2num 2010000
#   one million five hundred thousand and two: 1500002, text2num 1500002
#   five hundred thousand: 500000, text2num 500000
#   one point five million: 1, text2num 1.5 1000000
#   half a million: 1000000, text2num half a 1000000
#   three dozen: 3, text2num 3 dozen
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet word2number==1.1 text2num==3.1.0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
from text_to_num import alpha2digit
from word2number import w2n

for words in (
    "one million five hundred thousand",
    "two million ten thousand",
    "one million five hundred thousand and two",
    "five hundred thousand",
    "one point five million",
    "half a million",
    "three dozen",
):
    print(f"{words}: {w2n.word_to_num(words)}, text2num {alpha2digit(words, 'en')}")
PYTHON
diff "$folder/seen" - <<'SEEN'
one million five hundred thousand: 1501500, text2num 1500000
two million ten thousand: 2011010, text2num 2010000
one million five hundred thousand and two: 1500002, text2num 1500002
five hundred thousand: 500000, text2num 500000
one point five million: 1, text2num 1.5 1000000
half a million: 1000000, text2num half a 1000000
three dozen: 3, text2num 3 dozen
SEEN
