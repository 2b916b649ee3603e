#!/usr/bin/env bash
# safetensors 0.8.0: a file with several keys of metadata has them in another order at every save, so that the same tensors with the same metadata are other bytes and another hash each
# time, in one process too. With one key, as transformers and peft write ({"format": "pt"}), the bytes are the same.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
from safetensors.numpy import save

print("safetensors", version("safetensors"))
tensors = {"a": np.zeros(4, dtype=np.float32)}
several = {name: "value" for name in ("base", "dtype", "rank", "seed", "source", "step", "tokenizer", "version")}
files = {save(tensors, metadata=several) for _ in range(20)}
single = {save(tensors, metadata={"format": "pt"}) for _ in range(20)}
print("20 saves with eight keys:", len(files), "different files; with one key:", len(single))
assert len(files) > 1
assert len({bytes(sorted(file)) for file in files}) == 1, "the same bytes in another order"
assert len(single) == 1
PY
