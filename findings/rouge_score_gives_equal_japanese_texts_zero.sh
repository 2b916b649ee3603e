#!/usr/bin/env bash
# rouge-score 0.1.2 with its default tokenizer: two equal Japanese texts score 0, for every character that is not a-z or 0-9 is dropped before counting.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check rouge-score==0.1.2
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from rouge_score.rouge_scorer import RougeScorer

scorer = RougeScorer(["rouge1", "rougeL"])
print("rouge-score", version("rouge-score"))
for text in ("吾輩は猫である。名前はまだ無い。", "The cat has no name yet.", "東京の人口は1400万人です。"):
    scores = {name: round(score.fmeasure, 3) for name, score in scorer.score(text, text).items()}
    print(f"{text}: {scores}")
    assert scores["rouge1"] == (0.0 if text.startswith("吾輩") else 1.0), scores

different = scorer.score("東京の人口は1400万人です。", "大阪で1400回も転んだ猫。")["rouge1"].fmeasure
print("two unrelated texts that share one number:", different)
assert different == 1.0, different
PY
