#!/usr/bin/env bash
# transformers 5.24.0: AutoTokenizer on a folder whose config.json has model_type qwen2 builds Qwen2Tokenizer with Qwen's own pre-tokenizer, whatever tokenizer_class and
# tokenizer.json say. The ids are others than those of tokenizer.json, without a word; with model_type llama they are the same.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 tokenizers==0.23.3
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - "$folder" <<'PY'
import json
import sys
from importlib.metadata import version
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

print("transformers", version("transformers"), "tokenizers", version("tokenizers"))
text = "In 2024 there were 120 of them.  東京には120駅。"
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
tokenizer.train_from_iterator([text] * 3, trainers.BpeTrainer(vocab_size=320, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False))
own = tokenizer.encode(text).ids
for model_type, equal in (("llama", True), ("qwen2", False)):
    place = Path(sys.argv[1], model_type)
    place.mkdir()
    tokenizer.save(str(place / "tokenizer.json"))
    (place / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<s>"}))
    (place / "config.json").write_text(json.dumps({"model_type": model_type}))
    loaded = AutoTokenizer.from_pretrained(place)
    ids = loaded(text, add_special_tokens=False)["input_ids"]
    print(f"model_type {model_type}: {type(loaded).__name__}, {len(ids)} ids, tokenizer.json has {len(own)}; equal: {ids == own}; decodes to the text: {loaded.decode(ids) == text}")
    assert (ids == own) is equal
PY
