#!/usr/bin/env bash
# sacrebleu 2.6.0 with its default tokenizer (13a) on Japanese: a sentence equal to its reference scores 0 BLEU, for without spaces it is one token and has no 4-gram; the
# same pair has 100 with ja-mecab. Ten such sentences do not help, nor does a warning appear.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'sacrebleu[ja]==2.6.0'
"$folder/venv/bin/python" -W error - <<'PY'
from importlib.metadata import version

from sacrebleu.metrics import BLEU

texts = [f"{place}は日本の都市です。" for place in ("東京", "大阪", "京都", "札幌", "福岡", "仙台", "広島", "神戸", "奈良", "那覇")]
print("sacrebleu", version("sacrebleu"))
for name in ("13a", "ja-mecab"):
    score = BLEU(tokenize=name).corpus_score(texts, [texts]).score
    print(f"{name}: {score:.1f}")
    assert round(score) == (0 if name == "13a" else 100), score
PY
