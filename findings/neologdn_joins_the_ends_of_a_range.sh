#!/usr/bin/env bash
# neologdn 0.5.6 deletes every tilde and wave dash, between digits too: 「10〜20人」 becomes 「1020人」. A scorer that normalises with it (Stability's fork of
# lm-evaluation-harness does) takes the range 10〜20 and the number 1020 for the same answer.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check neologdn==0.5.6
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import neologdn

print("neologdn", version("neologdn"))
for text, expected in (("10〜20人", "1020人"), ("10~20人", "1020人"), ("１０～２０人", "1020人"), ("10-20人", "10-20人"), ("3〜5時", "35時")):
    result = neologdn.normalize(text)
    print(f"{text} -> {result}")
    assert result == expected, result
PY
