#!/usr/bin/env bash
# M-IFEval (lightblue-tech/M-IFEval, commit 0bc3143, Japanese) looks for its keywords among the words of MeCab with IPADIC. Prompts 41, 44, 146 and 148 ask for words
# that IPADIC always cuts in two or more, so that no answer follows them: all 17 models whose answers are recorded there fail, and the best score is 222 of 226.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fugashi==1.5.2 ipadic==1.0.0
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import ipadic
from fugashi import GenericTagger

print("fugashi", version("fugashi"), "ipadic", version("ipadic"))
tagger = GenericTagger(ipadic.MECAB_ARGS)
for keyword in ("創造性", "秘密の特訓", "大聖堂", "色落ち", "東京"):
    for sentence in (keyword, f"これは{keyword}です。", f"{keyword}を見た。"):
        words = [word.surface for word in tagger(sentence)]
        print(f"{keyword}: {' | '.join(words)}")
        assert (keyword in words) == (keyword == "東京")
PY
