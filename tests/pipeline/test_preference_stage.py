"""DPO through TRL on a small model: the chosen answers become likelier, the folder is a plain model, and what is missing is named."""

from __future__ import annotations

import importlib.util
import json

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError
from jp_adapt.corpus.preferences import read_preferences
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import load_recipe

needs_trl = pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="TRL is not installed (pip install 'jp-adapt[preference]')")

RECIPE = """\
format: 1
name: preferred
base: {{path: {base}}}
precision: float32
sources:
  chat: {{path: chat.jsonl, language: en, licence: Apache-2.0, format: chat}}
  pairs: {{path: pairs.jsonl, language: en, licence: Apache-2.0, format: preference}}
stages:
  - id: sft
    kind: sft
    start: base
    template: alpaca-ja
    data: [{{source: chat}}]
    budget: {{epochs: 1}}
    sequence_tokens: 256
    batch_tokens: 512
    lora: {{rank: 4, alpha: 8}}
  - {{id: model, kind: export, start: sft}}
  - {{id: dpo, kind: preference, start: model, pairs: [pairs], epochs: 4, batch_pairs: 4, lr: 0.01, lora: {{rank: 4, alpha: 8}}, checkpoint_every: 2}}
"""


@pytest.fixture
def recipe(pico_untied, tmp_path):
    chat = [{"instruction": f"Say {word}.", "output": word} for word in ("cat", "dog", "sun", "sea")]
    pairs = [{"prompt": f"Say {word}.", "chosen": word, "rejected": "No, I will not."} for word in ("cat", "dog", "sun", "sea")]
    for name, records in (("chat", chat), ("pairs", pairs)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    path = tmp_path / "preferred.yaml"
    path.write_text(RECIPE.format(base=pico_untied), encoding="utf-8")
    return path


@needs_trl
@pytest.mark.filterwarnings("ignore")  # TRL's and the Trainer's own
def test_the_chosen_answers_become_likelier(recipe, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = tmp_path / "run"
    assert run_recipe(load_recipe(recipe), out).stages_done == ["sft", "model", "dpo"]
    results = json.loads((out / "stages" / "dpo" / "stage.json").read_text(encoding="utf-8"))["results"]
    assert (results["steps"], results["pairs"]) == (4, 4)
    assert results["margin"] > 0
    assert results["accuracy"] > 0.7
    assert results["loss"] < 0.69
    lines = [json.loads(line) for line in (out / "stages" / "dpo" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    final = out / "stages" / "dpo" / "final"
    names = [name for name, _ in AutoModelForCausalLM.from_pretrained(final).named_parameters()]
    assert not any("lora" in name for name in names)
    assert "### 指示:" in AutoTokenizer.from_pretrained(final).apply_chat_template([{"role": "user", "content": "Say cat."}], tokenize=False)
    assert run_recipe(load_recipe(recipe), out).stages_done == []


@needs_trl
@pytest.mark.filterwarnings("ignore")
def test_a_model_without_a_chat_template_is_refused(recipe, tmp_path, capsys):
    assert main(["run", str(recipe), "--out", str(tmp_path / "run"), "-s", "stages.dpo.start=base"]) == 3
    assert "has no chat template, and preferences are conversations" in capsys.readouterr().err


def test_without_trl_check_says_what_to_install(recipe, monkeypatch, capsys):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "trl" else real(name, *rest))
    assert main(["check", str(recipe)]) == 3
    assert "a preference stage needs TRL, which is not installed; run: pip install 'jp-adapt[preference]'" in capsys.readouterr().err


def test_texts_and_messages_are_read(tmp_path):
    user, good, bad = {"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}, {"role": "assistant", "content": "B"}
    records = [
        {"prompt": "U", "chosen": "A", "rejected": "B"},
        {"prompt": [user], "chosen": [good], "rejected": [bad]},
        {"chosen": [user, good], "rejected": [user, bad]},
        {"prompt": [user], "chosen": [user, good], "rejected": [user, bad]},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    assert {(json.dumps(pair.prompt), pair.chosen, pair.rejected) for pair in read_preferences(path)} == {(json.dumps([user]), "A", "B")}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"prompt": "U", "chosen": "A"}, "this one lacks 'rejected'"),
        ({"prompt": "U", "chosen": "A", "rejected": "A"}, "the same answer"),
        ({"prompt": 3, "chosen": "A", "rejected": "B"}, "neither a text nor a list"),
        ({"prompt": "U", "chosen": "", "rejected": "B"}, r"chosen: message 2: 'content' is empty"),
        ({"chosen": "A", "rejected": "B"}, "chosen: message 1 is of 'assistant', and 'user' is due"),
    ],
)
def test_a_wrong_preference_is_refused_with_its_place(tmp_path, record, message):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "U", "chosen": "A", "rejected": "B"}\n' + json.dumps(record) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message) as error:
        read_preferences(path)
    assert str(error.value).startswith(f"{path}:2: ")
