"""What the commands are run on: small, whole and right files of every kind, from which the odd ones are made."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from jp_adapt.core.shipped import shipped_folder
from tests.conftest import documents
from tests.evaluation.test_compare import write_run
from tests.judge_server import predictions, small_data
from tests.recipes import write_small_recipe

BENCHMARK = """\
format: 1
kind: multiple_choice
version: "1"
title: 小さな試験
licence: Apache-2.0
source: https://example.com/small
language: ja
data:
  test: {files: [items.jsonl], reader: jsonl}
  shots: {files: ["shots*.jsonl"], reader: jsonl, first: 3}
id: "{{ number }}"
fields: {long: "{{ question | trim }}"}
choices: ["{{ a }}", "{{ b }}", "{{ c }}"]
answer: label
question: "{{ question }}"
protocols:
  jp-adapt:
    shots: 1
    prompt: "質問：{{ long }}{% for choice in choices %}\\n- {{ choice }}{% endfor %}\\n回答："
    metrics: [accuracy]
"""

EVALUATE = """\
format: 1
name: evaluation
base: {{path: {base}}}
stages:
  - {{id: eval, kind: evaluate, models: [base], benchmarks: [bench.yaml]}}
"""

CORPUS = """\
format: 1
name: small
texts: true
sources:
  ja: {path: ja.jsonl, language: ja, licence: Apache-2.0}
  en: {path: "en*.jsonl", language: en, licence: Apache-2.0, on_error: skip, documents: 4}
steps:
  - {kind: decoding}
  - {kind: normalise}
  - {kind: quality}
deduplicate: near
mixture: {weights: {ja: 0.7, en: 0.3}}
"""


@dataclass(frozen=True)
class World:
    """Folders and files, all right."""

    root: Path
    base: Path
    recipe: Path
    corpus: Path
    evaluation: Path
    runs: tuple[Path, Path]
    run_folder: Path
    judge_data: Path
    answers: Path


def make_base(folder: Path) -> Path:
    """A model folder of the right form, without torch: weights of zeros, a byte-level tokenizer of 400 tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    folder.mkdir(parents=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(documents("en_train.jsonl")[:4], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    _json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"})
    size = {"vocab_size": 400, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
    more = {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 256, "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 0}
    _json(folder / "config.json", {"model_type": "llama", **size, **more})
    shapes = {"embed_tokens": (400, 16), "norm": (16,), "layers.0.input_layernorm": (16,), "layers.0.post_attention_layernorm": (16,)}
    shapes |= {f"layers.0.self_attn.{name}_proj": (rows, 16) for name, rows in (("q", 16), ("k", 8), ("v", 8), ("o", 16))}
    shapes |= {"layers.0.mlp.gate_proj": (32, 16), "layers.0.mlp.up_proj": (32, 16), "layers.0.mlp.down_proj": (16, 32)}
    save_file({f"model.{name}.weight": np.zeros(shape, np.float32) for name, shape in shapes.items()}, folder / "model.safetensors", {"format": "pt"})
    return folder


def make_world(root: Path, base: Path) -> World:
    """Everything, in the new folder `root`, for the model in `base`."""
    recipe = write_small_recipe(root / "recipe", base)
    corpus = root / "corpus" / "corpus.yaml"
    corpus.parent.mkdir()
    for name in ("ja", "en"):
        shutil.copyfile(root / "recipe" / f"{name}.jsonl", corpus.parent / f"{name}.jsonl")
    corpus.write_text(CORPUS, encoding="utf-8")
    evaluation = root / "evaluation" / "evaluation.yaml"
    evaluation.parent.mkdir()
    evaluation.write_text(EVALUATE.format(base=base), encoding="utf-8")
    (evaluation.parent / "bench.yaml").write_text(BENCHMARK, encoding="utf-8")
    for name, first, number in (("items", 0, 12), ("shots-1", 100, 4)):
        items = [{"number": n, "question": f" {n}番は何？ ", "a": "犬", "b": "猫", "c": "鳥", "label": n % 3} for n in range(first, first + number)]
        (evaluation.parent / f"{name}.jsonl").write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    runs = (write_run(root / "a", {"ja/x": [1, 0] * 20}, model="a"), write_run(root / "b", {"ja/x": [1, 1, 0, 0] * 10}, model="b"))
    data, answers = small_data(root / "judge"), predictions(root / "judge" / "model.jsonl")
    return World(root, base, recipe, corpus, evaluation, runs, _run_folder(root / "run"), data, answers)


def _run_folder(folder: Path) -> Path:
    """A run whose first stage is done and whose second has begun."""
    stages = [{"id": "tok", "kind": "tokenizer"}, {"id": "rows", "kind": "rows"}, {"id": "model", "kind": "export"}]
    for name in ("tok", "rows"):
        stage = folder / "stages" / name
        stage.mkdir(parents=True)
        _json(stage / "stage.json", {"id": name, "fingerprint": "ab", "identity": {"seed": 1}, "kind": name, "elapsed_s": 3.5, "results": {}, "format": 1})
        (stage / "metrics.jsonl").write_text("".join(json.dumps({"step": n, "loss": 5.0 - n}) + "\n" for n in range(4)), encoding="utf-8")
    (folder / "stages" / "tok" / "DONE").write_text("ab\n", encoding="utf-8")
    _json(
        folder / "run.json", {"format": 1, "name": "small", "created": "2026-01-01T00:00:00+00:00", "jp_adapt": "0.1.0", "recipe": "small.yaml", "command": []}
    )
    _json(folder / "resolved.yaml", {"format": 1, "name": "small", "stages": stages})
    return folder


def recipe_of_the_quickstart() -> str:
    """The text of a real recipe."""
    return (shipped_folder("recipes") / "quickstart.yaml").read_text(encoding="utf-8")


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
