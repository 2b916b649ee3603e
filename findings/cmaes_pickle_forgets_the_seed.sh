#!/usr/bin/env bash
# cmaes 0.13.1: a CMA object made with a seed and pickled between two generations gives other candidates than the original, and others at each load: its __getstate__ drops the random
# generator. A search that was stopped and resumed from its pickle cannot be repeated.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check cmaes==0.13.1
"$folder/venv/bin/python" - <<'PY'
import pickle
from importlib.metadata import version

import numpy as np
from cmaes import CMA

print("cmaes", version("cmaes"))


def search() -> CMA:
    optimizer = CMA(mean=np.zeros(3), sigma=1.0, seed=1)
    optimizer.ask()
    return optimizer


original = search()
saved = pickle.dumps(original)
candidates = {"original": original.ask(), "same seed again": search().ask(), "loaded": pickle.loads(saved).ask(), "loaded again": pickle.loads(saved).ask()}
for name, candidate in candidates.items():
    print(f"{name}: {candidate.round(4)}")
assert np.array_equal(candidates["original"], candidates["same seed again"])
assert not np.array_equal(candidates["original"], candidates["loaded"])
assert not np.array_equal(candidates["loaded"], candidates["loaded again"])
PY
