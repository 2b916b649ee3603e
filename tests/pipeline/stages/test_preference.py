"""DPO through TRL on a small model: the chosen answers become likelier, the folder is a plain model, a killed run continues, and what is missing is named."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import time

import pytest
import torch
from safetensors.torch import load_file

from jp_adapt.cli.main import main
from jp_adapt.core import extras
from jp_adapt.core.errors import InputError
from jp_adapt.corpus.preferences import read_preferences
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import load_recipe
from tests.processes import Command, run

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
  - {{id: dpo, kind: preference, start: model, pairs: [pairs], epochs: 6, batch_pairs: 4, lr: 0.01, lora: {{rank: 4, alpha: 8}}, checkpoint_every: 2}}
"""


@pytest.fixture(scope="module")
def recipe(pico_untied, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("preferred")
    chat = [{"instruction": f"Say {word}.", "output": word} for word in ("cat", "dog", "sun", "sea")]
    pairs = [{"prompt": f"Say {word}.", "chosen": word, "rejected": "No, I will not."} for word in ("cat", "dog", "sun", "sea")]
    for name, records in (("chat", chat), ("pairs", pairs)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    path = tmp_path / "preferred.yaml"
    path.write_text(RECIPE.format(base=pico_untied), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(recipe):
    """The folder of an undisturbed run."""
    out = recipe.parent / "finished"
    assert run_recipe(load_recipe(recipe), out).stages_done == ["sft", "model", "dpo"]
    return out


@pytest.fixture
def exported(finished, tmp_path):
    """A run folder whose preference stage has not begun."""
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "stages" / "dpo")
    return out


def weights(out):
    return load_file(out / "stages" / "dpo" / "final" / "model.safetensors")


def changed(finished, out):
    """Names of the weights that preference tuning changed."""
    before = load_file(finished / "stages" / "model" / "final" / "model.safetensors")
    return {name.rpartition(".weight")[0].rpartition(".")[2] for name, weight in weights(out).items() if not weight.equal(before[name])}


@needs_trl
@pytest.mark.filterwarnings("ignore")  # TRL's and the Trainer's own
def test_the_chosen_answers_become_likelier(finished, recipe):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    results = json.loads((finished / "stages" / "dpo" / "stage.json").read_text(encoding="utf-8"))["results"]
    assert (results["steps"], results["pairs"]) == (6, 4)
    assert results["margin"] > 0
    assert results["accuracy"] > 0.7
    assert results["loss"] < 0.69
    assert 0 <= results["largest_logit_difference"] < 1e-3
    lines = [json.loads(line) for line in (finished / "stages" / "dpo" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    final = finished / "stages" / "dpo" / "final"
    names = [name for name, _ in AutoModelForCausalLM.from_pretrained(final).named_parameters()]
    assert not any("lora" in name for name in names)
    assert changed(finished, finished) == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert "### 指示:" in AutoTokenizer.from_pretrained(final).apply_chat_template([{"role": "user", "content": "Say cat."}], tokenize=False)
    assert "stage `dpo`" in (final / "README.md").read_text(encoding="utf-8")
    assert run_recipe(load_recipe(recipe), finished).stages_done == []


@needs_trl
@pytest.mark.filterwarnings("ignore")
def test_a_killed_run_goes_on_to_the_same_weights(finished, exported, recipe, capsys):
    checkpoints = exported / "stages" / "dpo" / "checkpoints"
    process = Command("run", str(recipe), "--out", str(exported))
    while not (checkpoints / "checkpoint-2" / "whole.json").is_file():
        assert process.poll() is None, process.wait().stderr
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait().returncode == -signal.SIGKILL
    assert not (exported / "stages" / "dpo" / "DONE").exists()
    shutil.copytree(checkpoints / "checkpoint-2", checkpoints / "checkpoint-9")  # as a kill leaves one that was being written
    (checkpoints / "checkpoint-9" / "whole.json").unlink()
    assert run_recipe(load_recipe(recipe), exported).stages_done == ["dpo"]
    assert "checkpoint-9: checkpoint cut short or damaged; removed" in capsys.readouterr().err
    for name, weight in weights(exported).items():
        assert weight.equal(weights(finished)[name]), name
    lines = [json.loads(line) for line in (exported / "stages" / "dpo" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


@needs_trl
@pytest.mark.filterwarnings("ignore")
def test_a_stop_saves_and_the_same_command_goes_on(finished, exported, recipe, monkeypatch, capsys):
    from jp_adapt.pipeline.stages import preference_watch

    steps = []

    def third_step(flag):
        steps.append(flag)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return flag

    monkeypatch.setattr(preference_watch.ranks, "any_rank", third_step)
    assert main(["run", str(recipe), "--out", str(exported)]) == 130
    assert "stopped after step 4 of 6; a checkpoint is saved" in capsys.readouterr().err
    assert main(["run", str(recipe), "--out", str(exported)]) == 0
    assert all(weight.equal(weights(finished)[name]) for name, weight in weights(exported).items())


@needs_trl
@pytest.mark.filterwarnings("ignore")
def test_dora_and_targets_hold(finished, exported, recipe, capsys):
    change = "stages.dpo.lora={rank: 4, alpha: 8, dora: true, targets: [%s]}"
    assert main(["run", str(recipe), "--out", str(exported), "-s", change % "q_projs"]) == 3
    assert "lora.targets: the model has no linear layer 'q_projs' (did you mean 'q_proj'?)" in capsys.readouterr().err
    shutil.rmtree(exported / "stages" / "dpo")
    assert main(["run", str(recipe), "--out", str(exported), "-s", change % "q_proj, v_proj"]) == 0
    assert changed(finished, exported) == {"q_proj", "v_proj"}


@needs_trl
def test_two_processes_share_a_batch(finished, exported, recipe):
    done = run("run", str(recipe), "--out", str(exported), "--processes", "2", env={"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    for name, weight in weights(exported).items():
        torch.testing.assert_close(weight, weights(finished)[name], rtol=1e-3, atol=1e-5)
    lines = (exported / "stages" / "dpo" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]


@needs_trl
@pytest.mark.filterwarnings("ignore")
def test_what_is_too_long_is_said(exported, recipe, capsys):
    assert main(["run", str(recipe), "--out", str(exported), "-s", "stages.dpo.max_tokens=20"]) == 3
    assert "stage 'dpo': the prompt of every pair has 20 tokens or more; raise max_tokens" in capsys.readouterr().err
    shutil.rmtree(exported / "stages" / "dpo")
    longest = "".join(json.dumps({"prompt": "Say cat.", "chosen": "cat " * count, "rejected": "No"}) + "\n" for count in (1, 450))
    pairs = exported.parent / "pairs.jsonl"
    pairs.write_text(longest, encoding="utf-8")
    changes = [f"sources.pairs.path={pairs}", "stages.dpo.max_tokens=450", "stages.dpo.lr=100.0"]
    assert main(["run", str(recipe), "--out", str(exported), *(part for change in changes for part in ("-s", change))]) == 1
    error = capsys.readouterr().err
    assert "dpo: 1 of 2 pairs have more than 450 tokens; the ends of their answers are cut" in error
    assert "the loss is nan; lower the learning rate" in error


@needs_trl
@pytest.mark.filterwarnings("ignore")
def test_a_model_without_a_chat_template_is_refused(recipe, tmp_path, capsys):
    assert main(["run", str(recipe), "--out", str(tmp_path / "run"), "-s", "stages.dpo.start=base"]) == 3
    assert "has no chat template, and preferences are conversations" in capsys.readouterr().err


def test_without_trl_check_says_what_to_install(recipe, monkeypatch, capsys):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert main(["check", str(recipe)]) == 2
    assert "stage 'dpo' (preference): trl is not installed; pip install 'jp-adapt[preference]'" in capsys.readouterr().err


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
