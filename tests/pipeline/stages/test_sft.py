"""The sft stage end to end on a small model: trained, killed and resumed, exported with its template, and refused where it must be."""

from __future__ import annotations

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError, Interrupted
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import load_recipe
from jp_adapt.training import loop

RECIPE = """\
format: 1
name: tuned
base: {{path: {base}}}
seed: 7
precision: float32
sources:
  chat: {{path: chat.jsonl, language: ja, licence: Apache-2.0, format: chat}}
  held: {{path: held.jsonl, language: ja, licence: Apache-2.0, format: chat}}
  ja: {{path: ja.jsonl, language: ja, licence: Apache-2.0}}
stages:
  - id: cpt
    kind: pretrain
    start: base
    data: [{{source: ja}}]
    budget: {{tokens: 400}}
    sequence_tokens: 64
    batch_tokens: 128
    lora: {{rank: 4, alpha: 8}}
  - id: sft
    kind: sft
    start: cpt
    template: alpaca-ja
    data: [{{source: chat}}]
    budget: {{epochs: 6}}
    sequence_tokens: 256
    batch_tokens: 512
    optimizer: {{lr: 0.02}}
    checkpoint_every: 3
    heldout: [held, ja]
    heldout_every: 5
  - {{id: model, kind: export, start: sft}}
"""


@pytest.fixture(scope="module")
def recipe(pico_untied, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sft")
    base = shutil.copytree(pico_untied, folder / "base")
    weights = load_file(base / "model.safetensors")
    weights["lm_head.weight"] *= 20  # fresh rows of size 0.02 hold every logit near zero, and LoRA on the layers below could teach the model nothing
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    pairs = [
        {"instruction": f"Say {word}.", "input": "" if number % 2 else "Now.", "output": f"{word} {word}!"}
        for number, word in enumerate(["cat", "dog", "sun", "sea"] * 3)
    ]
    for name, records in (("chat", pairs), ("held", pairs[:2]), ("ja", [{"text": "今日は雨です。"}] * 9)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    path = folder / "tuned.yaml"
    path.write_text(RECIPE.format(base=base), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "straight"
    assert run_recipe(load_recipe(recipe), out).stages_done == ["cpt", "sft", "model"]
    return out


def metrics(out):
    return [json.loads(line) for line in (out / "stages" / "sft" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_model_learns_its_answers(finished):
    lines = metrics(finished)
    assert lines[-1]["loss_nats_per_token"] < 0.7 * lines[1]["loss_nats_per_token"]
    assert lines[-1]["bits_per_char/held"] < 0.7 * lines[0]["bits_per_char/held"]
    assert "bits_per_byte/ja" in lines[-1]


def test_loss_is_on_the_answers_only(finished):
    """12 samples of "cat cat!" and the end: far fewer targets than positions."""
    record = json.loads((finished / "stages" / "sft" / "stage.json").read_text(encoding="utf-8"))["results"]
    targets = sum(line["num_targets"] for line in metrics(finished) if "num_targets" in line)
    assert 0 < targets < 0.2 * record["tokens_by_source"]["chat"]


def test_the_lora_of_the_start_goes_on(finished):
    before, after = (load_file(finished / "stages" / stage / "final" / "adapter_model.safetensors") for stage in ("cpt", "sft"))
    assert before.keys() == after.keys()
    assert any(not before[name].equal(after[name]) for name in before)


def test_the_exported_folder_renders_what_was_trained_and_stops_at_its_end(finished):
    folder = finished / "stages" / "model" / "final"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "Say cat."}], tokenize=False, add_generation_prompt=True)
    assert asked == "<|endoftext|>以下は、タスクを説明する指示です。要求を適切に満たす応答を書きなさい。\n\n### 指示:\nSay cat.\n\n### 応答:\n"
    assert model.generation_config.eos_token_id in (0, [0])


def test_interrupted_in_the_middle_it_goes_on_to_the_same_weights(recipe, finished, tmp_path, monkeypatch):
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    real = loop.accumulate_gradients
    taken: list[int] = []

    def stop_at_five(*args, **kwargs):
        taken.append(1)
        if len(taken) == 5:
            raise Interrupted("the plug is pulled")
        return real(*args, **kwargs)

    monkeypatch.setattr(loop, "accumulate_gradients", stop_at_five)
    with pytest.raises(Interrupted):
        run_recipe(load_recipe(recipe), out, redo_from="sft")
    monkeypatch.undo()
    assert run_recipe(load_recipe(recipe), out).stages_done == ["sft", "model"]
    final = "stages/model/final/model.safetensors"
    assert (out / final).read_bytes() == (finished / final).read_bytes()
    assert [line["step"] for line in metrics(out)] == [line["step"] for line in metrics(finished)]


def test_a_template_whose_tokens_the_base_lacks_is_refused(recipe, tmp_path, capsys):
    assert main(["run", str(recipe), "--out", str(tmp_path / "run"), "-s", "stages.sft.template=chatml"]) == 3
    assert "template chatml needs the special token <|im_start|>" in capsys.readouterr().err
    assert main(["run", str(recipe), "--out", str(tmp_path / "other"), "-s", "stages.sft.template=model"]) == 3
    assert "has no chat template of its own; name one in the recipe, as template: llama3" in capsys.readouterr().err


def test_a_conversation_that_is_too_long_stops_the_stage_with_its_line_or_is_cut(recipe, tmp_path, capsys):
    arguments = ["run", str(recipe), "-s", "stages.sft.sequence_tokens=160", "-s", "stages.sft.budget.epochs=1", "-s", "stages.sft.heldout=[]"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 3
    assert "chat.jsonl:1: " in (said := capsys.readouterr().err)
    assert "tokens, and a row has 160; raise sequence_tokens, or say too_long: cut" in said
    assert main([*arguments, "--out", str(tmp_path / "dropped"), "-s", "stages.sft.too_long=drop"]) == 0
    assert "of 12 conversations of chat have more than 160 tokens and were dropped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["stages.sft.lora={rank: 4}"], "'cpt' has LoRA already, and this stage continues with it; take 'lora' out"),
        (["sources.chat.format=text"], "source 'chat' is of format text, and chat is needed here"),
        (["sources.ja.format=chat"], "source 'ja' is of format chat, and text is needed here"),
        (["stages.sft.template=llama"], "stages.sft.template is 'llama'"),
    ],
)
def test_check_finds_what_does_not_fit(recipe, settings, message, capsys):
    assert main(["check", str(recipe), *(part for setting in settings for part in ("-s", setting))]) == 2
    assert message in capsys.readouterr().err


def test_check_finds_a_wrong_conversation(recipe, tmp_path):
    shutil.copytree(recipe.parent, tmp_path / "copy")
    with (tmp_path / "copy" / "chat.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"instruction": "何か", "output": ""}\n')
    from jp_adapt.pipeline.inputs import check_inputs

    with pytest.raises(InputError, match=r"chat\.jsonl:13: 'output' is empty"):
        check_inputs(load_recipe(tmp_path / "copy" / "tuned.yaml"))
