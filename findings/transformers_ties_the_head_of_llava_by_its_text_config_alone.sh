#!/usr/bin/env bash
# transformers 5.24.0: `tie_word_embeddings: true` in `text_config` ties the head of a LLaVA to its embedding, and not that of a LLaVA-NeXT or an Idefics3 with the same
# `text_config`: these follow the key of the whole config alone. Who reads one place for all vision-language models writes a head that the other reads from nowhere.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0
"$folder/venv/bin/python" - 2>"$folder/log" <<'PY'
from importlib.metadata import version

import transformers as t

print("transformers", version("transformers"))
text = {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 64}
seeing = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 16, "patch_size": 8}
kinds = {
    "Llava": (t.LlavaForConditionalGeneration, t.LlavaConfig, t.CLIPVisionConfig(**seeing), {"image_token_index": 99}),
    "LlavaNext": (t.LlavaNextForConditionalGeneration, t.LlavaNextConfig, t.CLIPVisionConfig(**seeing), {"image_token_index": 99, "image_grid_pinpoints": [[16, 16]]}),
    "Idefics3": (t.Idefics3ForConditionalGeneration, t.Idefics3Config, seeing, {"image_token_id": 99}),
}
tied = {}
for name, (model, config, vision, more) in kinds.items():
    for inside in (True, False):
        made = model(config(text_config=t.LlamaConfig(**text, tie_word_embeddings=inside), vision_config=vision, **more))
        tied[name, inside] = made.lm_head.weight is made.get_input_embeddings().weight
        print(f"{name:9}  text_config.tie_word_embeddings={inside}  config's own={made.config.tie_word_embeddings}  head tied: {tied[name, inside]}")
assert tied["Llava", True] and not tied["Llava", False]
assert tied["LlavaNext", True] == tied["LlavaNext", False]
assert tied["Idefics3", True] == tied["Idefics3", False]
PY
