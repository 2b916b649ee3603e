"""The text side of a model folder: one reader, and a folder that leaves says all that the run knew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from jp_adapt.commands.evaluate import evaluate
from jp_adapt.core.errors import InputError
from jp_adapt.core.hashes import sha256_json
from jp_adapt.evaluation.results import read_outputs, read_scores
from jp_adapt.export.adapter import merge_adapter
from jp_adapt.inference.text_side import FACTS, TEMPLATE_DATE, Starts, text_side, write_text_side
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.pipeline.run_folder import RunFolder
from jp_adapt.pipeline.stages.context import Context
from jp_adapt.pipeline.stages.sft import stage_chat
from jp_adapt.recipe.load import load_recipe
from jp_adapt.recipe.schema import SftStage
from jp_adapt.text.chat_jinja import render
from tests.conftest import documents, make_pico

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHATML = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
RECIPE = """\
format: 1
name: sides
base: {{path: {base}, document_start: "<|im_end|>"}}
precision: float32
sources:
  ja: {{path: ja.jsonl, language: ja, licence: Apache-2.0}}
  chat: {{path: chat.jsonl, language: ja, licence: CC0-1.0, format: chat}}
stages:
  - id: cpt
    kind: pretrain
    start: base
    data: [{{source: ja}}]
    budget: {{tokens: 512}}
    sequence_tokens: 64
    batch_tokens: 128
  - {{id: model, kind: export, start: cpt}}
  - {{id: eval, kind: evaluate, models: [base, model], texts: [ja], benchmarks: [quickstart/ja-everyday-100], limit: 4}}
  - id: sft
    kind: sft
    start: cpt
    template: chatml
    data: [{{source: chat}}]
    budget: {{epochs: 1}}
    sequence_tokens: 256
    batch_tokens: 256
  - {{id: chat_model, kind: export, start: sft}}
"""


@pytest.fixture(scope="module")
def special(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pico with the tokens of ChatML."""
    return make_pico(tmp_path_factory.mktemp("special") / "special", special=SPECIAL)


@pytest.fixture(scope="module")
def run(special: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose documents began with another token than the tokenizer's BOS."""
    folder = tmp_path_factory.mktemp("run")
    texts = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in documents("ja_train.jsonl")[:4])
    (folder / "ja.jsonl").write_text(texts, encoding="utf-8")
    messages = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]
    (folder / "chat.jsonl").write_text((json.dumps({"messages": messages}) + "\n") * 2, encoding="utf-8")
    (folder / "sides.yaml").write_text(RECIPE.format(base=special), encoding="utf-8")
    run_recipe(load_recipe(str(folder / "sides.yaml")), folder / "run")
    return folder / "run" / "stages"


def copied(folder: Path, target: Path, **files: object) -> Path:
    """A folder's small files, with `files` (dots as double underscores) in the place of its own; None takes one away."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.safetensors"))
    for name, value in files.items():
        path = target / name.replace("__", ".")
        if value is None:
            path.unlink()
        else:
            path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return target


def test_eval_of_an_exported_folder_gives_the_evaluate_stages_figures_to_the_last_bit(run: Path, tmp_path: Path) -> None:
    model = run / "model" / "final"
    options = {"benchmarks": ("quickstart/ja-everyday-100",), "limit": 4, "dtype": "float32"}
    evaluate(model, tmp_path / "out", texts=(str(run.parent.parent / "ja.jsonl"),), **options)
    stage = [entry.log_likelihoods for entry in read_outputs(run / "eval" / "final" / "adapted")]
    assert [entry.log_likelihoods for entry in read_outputs(tmp_path / "out")] == stage
    text = json.loads((run / "eval" / "final" / "evaluation.json").read_text(encoding="utf-8"))["texts"][0]
    assert text["sha256"] == sha256_json(documents("ja_train.jsonl")[:4])
    own = read_scores(tmp_path / "out").texts[0]
    assert (own.bits_per_char, own.tokens) == (text["adapted"]["bits_per_char"], text["adapted"]["tokens"])
    assert read_scores(tmp_path / "out").model["document_start"] == "<|im_end|>"
    plain = tmp_path / "plain"
    shutil.copytree(model, plain, ignore=shutil.ignore_patterns(FACTS))
    evaluate(plain, tmp_path / "other", **options)
    assert [entry.log_likelihoods for entry in read_outputs(tmp_path / "other")] != stage, "the first token makes a difference here"


def test_a_merged_adapter_has_the_text_side_of_the_exported_folder(run: Path, special: Path, tmp_path: Path) -> None:
    for stage, export in (("cpt", "model"), ("sft", "chat_model")):
        merge_adapter(run / stage / "final", special, tmp_path / stage)
        merged, exported = text_side(tmp_path / stage), text_side(run / export / "final")
        assert (merged.starts, merged.stop_ids, merged.chat) == (exported.starts, exported.stop_ids, exported.chat)
        assert merged.document_start == "<|im_end|>"
    assert "<|im_start|>" in text_side(tmp_path / "sft").chat.template


def test_an_answer_ends_at_the_end_of_the_turn_for_transformers_and_for_us(run: Path) -> None:
    folder = run / "chat_model" / "final"
    side, tokenizer = text_side(folder), AutoTokenizer.from_pretrained(folder)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end in side.stop_ids
    assert set(AutoModelForCausalLM.from_pretrained(folder).generation_config.eos_token_id) == set(side.stop_ids)
    said = [{"role": "user", "content": "1+1?"}]
    ours = side.tokenizer.encode(side.chat.render([], "1+1?"))
    assert ours == tokenizer.apply_chat_template(said, add_generation_prompt=True, return_dict=False), "and the prompt is the same, with nothing before it"


@pytest.mark.parametrize(
    ("files", "stops"),
    [
        ({}, [0]),
        ({"generation_config__json": {"eos_token_id": [2, 5]}}, [0, 2, 5]),
        ({"config__json": {"eos_token_id": 7, "max_position_embeddings": 512}, "generation_config__json": {}}, [0, 7]),
        ({"generation_config__json": {"eos_token_id": 5}, "config__json": {"eos_token_id": [7]}}, [0, 5, 7]),
        ({"tokenizer_config__json": {"bos_token": "<|endoftext|>", "eos_token": {"content": "<|im_start|>"}}}, [0, 1]),
        ({"chat_template__jinja": CHATML}, [0, 2]),
        ({"chat_template__jinja": "{{ raise_exception('no') }}"}, [0]),
        ({FACTS.replace(".", "__"): {"format": 1, "document_start": "<|im_end|>"}}, [0, 2]),
    ],
)
def test_every_place_that_names_an_end_counts(special: Path, tmp_path: Path, files: dict[str, object], stops: list[int]) -> None:
    assert sorted(text_side(copied(special, tmp_path / "m", **files)).stop_ids) == stops


@pytest.mark.parametrize(
    ("files", "named", "starts"),
    [
        ({}, None, Starts(0, (), 0, 0)),
        ({}, "<|im_end|>", Starts(2, (), 0, 0)),
        ({"tokenizer_config__json": {"eos_token": "<|im_end|>"}}, None, Starts(0, (), None, 2)),  # as Qwen: no BOS, and documents end with another token
        ({"tokenizer_config__json": {"eos_token": "<|im_start|>"}}, None, Starts(1, (), None, 1)),
        ({"tokenizer_config__json": {}, "special_tokens_map__json": {"bos_token": "<|im_start|>"}}, None, Starts(1, (), 1, None)),
        ({"tokenizer_config__json": {}, "config__json": {"bos_token_id": 1}}, None, Starts(0)),
        ({FACTS.replace(".", "__"): {"format": 1, "document_start": "<|im_start|>"}}, None, Starts(1, (), 0, 0)),
        ({FACTS.replace(".", "__"): {"format": 1, "document_start": "<|im_start|>"}}, "<|im_end|>", Starts(2, (), 0, 0)),
    ],
)
def test_which_token_begins_a_text(special: Path, tmp_path: Path, files: dict[str, object], named: str | None, starts: Starts) -> None:
    assert text_side(copied(special, tmp_path / "m", **files), named).starts == starts


@pytest.mark.parametrize(("config", "document"), [({"bos_token_id": 1}, 1), ({}, None)])
def test_a_tokenizer_that_names_nothing(special: Path, tmp_path: Path, config: dict[str, int], document: int | None) -> None:
    spec = json.loads((special / "tokenizer.json").read_text(encoding="utf-8").replace("<|endoftext|>", "<|unheard_of|>"))
    folder = copied(special, tmp_path / "m", tokenizer__json=spec, tokenizer_config__json={}, config__json=config)
    if document is not None:
        assert text_side(folder).starts == Starts(document)
    else:
        with pytest.raises(InputError, match="names no bos_token and no eos_token"):
            text_side(folder)


def test_what_the_tokenizer_itself_puts_before_a_text(special: Path, tmp_path: Path) -> None:
    spec = json.loads((special / "tokenizer.json").read_text(encoding="utf-8"))
    token = {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}
    single = [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    spec["post_processor"] = {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": {"<|im_start|>": token}}
    assert text_side(copied(special, tmp_path / "m", tokenizer__json=spec)).starts == Starts(0, (1,), 0, 0)


@pytest.mark.parametrize(
    ("files", "named", "message"),
    [
        ({}, "<|nothing|>", "the tokenizer has no token '<|nothing|>', which is to stand before every text"),
        ({FACTS.replace(".", "__"): {"format": 2}}, None, r"jp_adapt\.json: not in format 1 of jp-adapt .*; export the model again"),
        ({FACTS.replace(".", "__"): []}, None, r"jp_adapt\.json: not in format 1"),
        ({FACTS.replace(".", "__"): {"format": 1, "document_start": 3}}, None, r"jp_adapt\.json: not in format 1"),
        ({FACTS.replace(".", "__"): {"format": 1, "template_date": "2024-07-26"}}, None, "template_date is '2024-07-26', and a date as"),
        ({"generation_config__json": []}, None, r"generation_config\.json: a JSON object is needed"),
    ],
)
def test_what_cannot_be_read_is_told(special: Path, tmp_path: Path, files: dict[str, object], named: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("|", r"\|")):
        text_side(copied(special, tmp_path / "m", **files), named)


def test_a_chat_is_rendered_in_the_models_own_template_on_the_date_of_training(special: Path, tmp_path: Path) -> None:
    alpaca = text_side(special).chat.render([("やあ", "はい")], "次は？")
    assert alpaca.startswith("<|endoftext|>以下は")
    assert alpaca.endswith("\n\n### 指示:\n次は？\n\n### 応答:\n")
    template = "{{ bos_token }}{{ date_string }}{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
    own = text_side(copied(special, tmp_path / "own", chat_template__jinja=template))
    assert own.chat.render([("やあ", "はい")], "次は？") == f"<|endoftext|>{TEMPLATE_DATE}[user]やあ[assistant]はい[user]次は？"
    facts = {"format": 1, "template_date": "01 Jan 2030"}
    other = text_side(copied(special, tmp_path / "other", chat_template__jinja=template, **{FACTS.replace(".", "__"): facts}))
    assert other.chat.render([], "a") == "<|endoftext|>01 Jan 2030[user]a"
    named = {
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "chat_template": [{"name": "tools", "template": "x"}, {"name": "default", "template": CHATML}],
    }
    assert text_side(copied(special, tmp_path / "named", tokenizer_config__json=named)).chat.render([], "a") == "<|im_start|>user\na<|im_end|>\n"


@pytest.mark.parametrize("content", ["m.content", "m.content | trim"])
@pytest.mark.parametrize("said", ["The answer", " The answer is ", "答え："])
def test_an_open_answer_ends_where_transformers_ends_it(special: Path, tmp_path: Path, content: str, said: str) -> None:
    folder = copied(special, tmp_path / "m", chat_template__jinja=CHATML.replace("m.content", content))
    messages = [{"role": "user", "content": "1+1? "}, {"role": "assistant", "content": said}]
    theirs = AutoTokenizer.from_pretrained(folder).apply_chat_template(messages, tokenize=False, continue_final_message=True)
    assert text_side(folder).chat.render_open(messages) == theirs
    assert theirs.endswith(said.strip() if "trim" in content else said)
    assert messages[1]["content"] == said, "the caller's messages are as they were"


def test_a_template_that_drops_the_open_answer_is_told(special: Path, tmp_path: Path) -> None:
    side = text_side(copied(special, tmp_path / "m", chat_template__jinja="{{ messages[0].content }}"))
    with pytest.raises(InputError, match="it drops the text of the last message, which is to be continued"):
        side.chat.render_open([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])


def test_the_template_of_an_sft_stage_begins_a_text_as_the_model_was_trained(special: Path, tmp_path: Path) -> None:
    """One reader: the token before every document stands in jp_adapt.json, and the tokenizer names another BOS."""
    base = copied(special, tmp_path / "base", **{FACTS.replace(".", "__"): {"format": 1, "document_start": "<|im_end|>"}})
    (tmp_path / "chat.jsonl").touch()
    (tmp_path / "ja.jsonl").touch()
    (tmp_path / "sides.yaml").write_text(RECIPE.format(base=base).replace(', document_start: "<|im_end|>"', ""), encoding="utf-8")
    recipe = load_recipe(str(tmp_path / "sides.yaml"), ["stages.sft.template=alpaca-ja"]).recipe
    (stage,) = [entry for entry in recipe.stages if isinstance(entry, SftStage)]
    assert render(stage_chat(stage, recipe, base, base).jinja, [{"role": "user", "content": "a"}], prompt=True).startswith("<|im_end|>以下は")
    assert text_side(base).chat.render([], "a").startswith("<|im_end|>以下は")


def test_without_a_bos_the_recipes_document_end_begins_a_text_in_every_stage(special: Path, tmp_path: Path) -> None:
    config = json.loads((special / "tokenizer_config.json").read_text(encoding="utf-8")) | {"bos_token": None, "eos_token": "<|endoftext|>"}
    base = copied(special, tmp_path / "base", tokenizer_config__json=config)
    (tmp_path / "chat.jsonl").touch()
    (tmp_path / "ja.jsonl").touch()
    text = RECIPE.format(base=base).replace(', document_start: "<|im_end|>"', ', document_end: "<|im_end|>"')
    (tmp_path / "sides.yaml").write_text(text, encoding="utf-8")
    recipe = load_recipe(str(tmp_path / "sides.yaml"), ["stages.sft.template=alpaca-ja"]).recipe
    (stage,) = [entry for entry in recipe.stages if isinstance(entry, SftStage)]
    assert Context(recipe, base, RunFolder(tmp_path / "run").stage).document_start == "<|im_end|>"
    assert render(stage_chat(stage, recipe, base, base).jinja, [{"role": "user", "content": "a"}], prompt=True).startswith("<|im_end|>以下は")


def test_a_template_that_refuses_a_conversation_is_one_line(special: Path, tmp_path: Path) -> None:
    side = text_side(copied(special, tmp_path / "m", chat_template__jinja="{{ raise_exception('only with tools') }}"))
    with pytest.raises(InputError, match=r"the model's chat template cannot be used: it refuses the conversation: .*only with tools"):
        side.chat.render([], "a")


def test_what_is_written_is_read(special: Path, tmp_path: Path) -> None:
    folder = copied(special, tmp_path / "m", chat_template__jinja=CHATML, generation_config__json={"eos_token_id": 0, "temperature": 0.6})
    write_text_side(folder, "<|im_start|>")
    side = text_side(folder)
    assert side.document_start == "<|im_start|>"
    generation = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    assert generation == {"eos_token_id": [0, 1, 2], "temperature": 0.6}
    assert side.generation_stops == (0, 1, 2)
    assert sorted(side.stop_ids) == [0, 1, 2]
