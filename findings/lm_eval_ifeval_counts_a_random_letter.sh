#!/usr/bin/env bash
# lm_eval 0.4.13, task ifeval: asked for at least six "!" (or four "#": 2 of the 541 prompts), the checker counts a letter that it draws at random, because the mark
# is not between a and z. An answer with ten marks fails, and one without any passes in some runs. Google's own code does the same.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps lm_eval==0.4.13 langdetect==1.0.9 six==1.17.0 immutabledict==4.2.1 nltk==3.10.4 regex==2026.11.19 packaging==26.3
"$folder/venv/bin/python" - <<'PY'
import sys
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType

root = find_spec("lm_eval").submodule_search_locations[0]
for name, path in (("lm_eval", root), ("lm_eval.tasks", f"{root}/tasks"), ("lm_eval.tasks.ifeval", f"{root}/tasks/ifeval")):  # the checkers alone
    module = ModuleType(name)
    module.__path__ = [path]
    sys.modules[name] = module
import nltk

nltk.data.find = nltk.download = lambda *arguments, **options: True  # this checker needs no trained data
from lm_eval.tasks.ifeval.instructions import LetterFrequencyChecker

print("lm_eval", version("lm_eval"))
for answer in ("Buy now!!!!!!!!!!", "We never see these eleven trees, yet bees seek the sweet cherries here."):
    verdicts = []
    for _ in range(200):
        checker = LetterFrequencyChecker("keywords:letter_frequency")
        checker.build_description(letter="!", let_frequency=6, let_relation="at least")
        verdicts.append(checker.check_following(answer))
    print(f"{answer!r}: follows in {sum(verdicts)} of 200 runs")
    assert (sum(verdicts) == 0) == answer.endswith("!")
PY
