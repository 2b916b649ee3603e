#!/usr/bin/env bash
# fugashi 1.5.2 (MeCab counts white space before a word in 16 bits): behind 65,530 spaces the next word is cut into other words, behind 65,533 it is a
# UnicodeDecodeError. The words depend on white space that a reader would call empty.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fugashi==1.5.2 unidic-lite==1.0.8
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from fugashi import Tagger

tagger = Tagger()
print("fugashi", version("fugashi"), "unidic-lite", version("unidic-lite"))


def words(spaces: int) -> list[str]:
    return [word.surface for word in tagger("東京" + " " * spaces + "大阪 名古屋")]


for spaces in (1, 65_529, 65_530, 65_532):
    print(f"{spaces:>7,} spaces: {words(spaces)}")
assert words(1) == words(65_529) == ["東京", "大阪", "名古屋"]
assert words(65_530) == words(65_532) == ["東京", "大", "阪", "名古屋"]
try:
    words(65_533)
except UnicodeDecodeError as error:
    print(f"{65_533:>7,} spaces: UnicodeDecodeError: {error}")
else:
    raise AssertionError("65,533 spaces no longer raise")
PY
