"""Documents end: the token that ends one is a target once per document, from texts and from shards, and held-out text counts it."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.cli.main import main
from jp_adapt.commands.training_plan import training_plan
from jp_adapt.core.errors import InputError
from jp_adapt.corpus.mixture import plan_training
from jp_adapt.corpus.pack import IGNORED, Plan, with_end
from jp_adapt.corpus.shards import TokenShards
from jp_adapt.inference.text_side import end_of_documents, text_side, write_text_side
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.pipeline.run_folder import RunFolder
from jp_adapt.pipeline.stages.context import Context
from jp_adapt.recipe.load import load_recipe
from jp_adapt.recipe.schema import PretrainStage
from jp_adapt.text.document_ends import document_end
from jp_adapt.tokenizer.encoder import encoder, plain_tokenizer
from tests.properties import examples

START, END = 0, 1  # the other ids of the made-up documents are 2 and more


def targets_behind(plan: Plan, ranks: int) -> Counter[tuple[int, int]]:
    """(id, its target) of every position that carries loss, over all steps and ranks."""
    results: Counter[tuple[int, int]] = Counter()
    for step in range(plan.num_steps):
        for rank in range(ranks):
            batch = plan.batch(step, rank, ranks)
            for ids, targets in zip(batch.ids, batch.targets, strict=True):
                results.update(pair for pair in zip(ids, targets, strict=True) if pair[1] != IGNORED)
    return results


@examples(200)
@given(
    st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(any), min_size=1, max_size=3),
    st.integers(2, 12),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 3),
)
def test_the_end_is_a_target_once_for_each_document_and_only_behind_its_last_token(
    sizes: list[list[int]], length: int, ranks: int, epochs: int, seed: int
) -> None:
    number = iter(range(2, 10**6))
    sources = {f"s{index}": [with_end([next(number) for _ in range(size)], END) for size in lengths] for index, lengths in enumerate(sizes)}
    plan = plan_training(
        {name: (documents, 1.0 + index) for index, (name, documents) in enumerate(sources.items())},
        prefix=START,
        length=length,
        rows_per_step=2,
        seed=seed,
        epochs=epochs,
    )
    results = targets_behind(plan, ranks)
    read = np.bincount(plan.packing.document, weights=plan.packing.tokens, minlength=len(plan.document_of)).astype(int)  # the last one of a source in part
    expected: Counter[tuple[int, int]] = Counter()
    ends = 0
    for source, document, tokens in zip(plan.source_of.tolist(), plan.document_of.tolist(), read.tolist(), strict=True):
        ids = sources[list(sources)[source]][document]
        expected.update(islice(pairwise([START, *ids]), tokens))
        ends += bool(ids) and tokens == len(ids)
    assert results == expected
    assert sum(count for (_, target), count in results.items() if target == END) == ends
    assert not any(target == START or before == END for before, target in results), (
        "nothing is learned behind an end, and no document begins within a row's text"
    )


def test_a_document_without_a_token_has_no_end() -> None:
    assert with_end([], END) == []
    assert with_end([5], END) == [5, END]
    assert with_end([5], None) == [5]


HUB = {  # eos_token and special tokens that folders of the hub name -> what ended a document in pretraining
    "Llama-2": ("</s>", ["<unk>", "<s>", "</s>"], "</s>"),
    "Llama-3": ("<|end_of_text|>", ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"], "<|end_of_text|>"),
    "Llama-3-Instruct": ("<|eot_id|>", ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"], "<|end_of_text|>"),
    "Mistral-Instruct": ("</s>", ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"], "</s>"),
    "SmolLM2": ("<|endoftext|>", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "<|endoftext|>"),
    "SmolLM2-Instruct": ("<|im_end|>", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "<|endoftext|>"),
    "Qwen2.5-Instruct": ("<|im_end|>", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "<|endoftext|>"),
    "gemma-it": ("<end_of_turn>", ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], "<eos>"),
    "a chat vocabulary alone": ("<|im_end|>", ["<|im_start|>", "<|im_end|>"], "<|im_end|>"),
    "no eos": (None, ["<s>"], None),
    "no eos, and a token that ends texts": (None, ["<s>", "</s>"], "</s>"),
}


@pytest.mark.parametrize("name", HUB)
def test_what_ended_a_document_in_pretraining(name: str) -> None:
    eos, special, expected = HUB[name]
    assert document_end(eos, special) == expected


RECIPE = """\
format: 1
name: ends
base: {{path: {base}}}
seed: 7
precision: float32
sources:
  ja: {{path: {source}, language: ja, licence: Apache-2.0}}
  held: {{path: held.jsonl, language: ja, licence: Apache-2.0}}
stages:
  - id: cpt
    kind: pretrain
    start: base
    data: [{{source: ja}}]
    budget: {{epochs: {epochs}}}
    sequence_tokens: 16
    batch_tokens: 64
    optimizer: {{lr: 0.02}}
    embeddings: full
    lora: {{rank: 8, alpha: 16}}
    heldout: [held]
    heldout_every: 1000
  - {{id: model, kind: export, start: cpt}}
  - {{id: eval, kind: evaluate, models: [base, model], texts: [held]}}
"""
CORPUS = "format: 1\nname: ja\ntokenizer: {base}\nsources: {{ja: {{path: ja.jsonl, language: ja, licence: Apache-2.0}}}}\ndeduplicate: none\n"
TEXTS = [f"{animal} and {other}." for animal in ("cat", "dog", "hen") for other in ("sun", "a very long and quiet evening in the old garden behind the house")]


def write(folder: Path, base: Path, source: str = "ja.jsonl", epochs: float = 1) -> Path:
    for name, texts in (("ja", TEXTS), ("held", TEXTS[:3])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    (folder / "ends.yaml").write_text(RECIPE.format(base=base, source=source, epochs=epochs), encoding="utf-8")
    (folder / "corpus.yaml").write_text(CORPUS.format(base=base), encoding="utf-8")
    return folder / "ends.yaml"


def first_plan(recipe: Path, base: Path, out: Path) -> Plan:
    """The plan that the recipe's first stage trains on."""
    loaded = load_recipe(recipe).recipe
    tokenizer, context = plain_tokenizer(base), Context(loaded, base, RunFolder(out).stage)
    stage = loaded.stages[0]
    assert isinstance(stage, PretrainStage)
    return training_plan(stage, loaded, base, prefix=context.prefix_id(tokenizer), end=context.end_id(tokenizer))[0]


@pytest.fixture(scope="module")
def base(pico_untied: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pico with an EOS that is another token than its BOS: "<|end|>" as in chat models, and "</s>" that ended its documents."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = shutil.copytree(pico_untied, tmp_path_factory.mktemp("ends") / "base")
    spec = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = spec["model"]["vocab"]
    for text in ("</s>", "<|im_end|>"):
        spec["added_tokens"].append(spec["added_tokens"][0] | {"id": len(vocabulary), "content": text})
        vocabulary[text] = len(vocabulary)
    (folder / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(len(vocabulary))
    model.save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids("</s>") == 500
    return folder


def test_the_end_of_the_base_is_found_and_travels_with_the_model(base: Path, tmp_path: Path) -> None:
    special = [token.content for token in plain_tokenizer(base).get_added_tokens_decoder().values()]
    assert end_of_documents(base, special) == "<|endoftext|>", "the first of the known ends of texts that the vocabulary has"
    assert text_side(base).document_end == 0
    assert text_side(base, document_end="</s>").document_end == 500
    with pytest.raises(InputError, match="has no token '<eod>', which is to end every text"):
        text_side(base, document_end="<eod>")
    exported = shutil.copytree(base, tmp_path / "exported")
    write_text_side(exported, "<|endoftext|>", "</s>")
    side = text_side(exported)
    assert side.document_end == 500
    assert 500 in side.stop_ids


def test_shards_and_texts_give_one_plan_with_an_end_for_each_document(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from_texts = first_plan(write(tmp_path, base), base, tmp_path / "run")
    assert main(["corpus", "prepare", str(tmp_path / "corpus.yaml"), "--out", str(tmp_path / "corpus")]) == 0
    assert "documents end with the token <|endoftext|>" in capsys.readouterr().out
    shards = TokenShards(tmp_path / "corpus")
    assert (shards.index["format"], shards.document_end) == (2, 0)
    documents = shards.documents("ja")
    encode = encoder(plain_tokenizer(base))
    assert [documents[index].tolist() for index in range(len(documents))] == [[*encode(text), 0] for text in TEXTS]
    (tmp_path / "ends.yaml").write_text(RECIPE.format(base=base, source="corpus", epochs=1), encoding="utf-8")
    from_shards = first_plan(tmp_path / "ends.yaml", base, tmp_path / "run")
    results = targets_behind(from_texts, 1)
    assert results == targets_behind(from_shards, 2)
    assert sum(count for (_, target), count in results.items() if target == 0) == len(TEXTS)
    assert capsys.readouterr().err == ""


def as_format_1(folder: Path) -> None:
    """The index that an earlier version wrote; the tokens of its documents had no end."""
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    index["format"] = 1
    del index["document_end"], index["identity"]["document_end"]
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    del report["document_end"]
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")


def test_shards_of_an_earlier_version_are_read_as_they_were_and_it_is_said(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write(tmp_path, base, "corpus")
    prepare = ["corpus", "prepare", str(tmp_path / "corpus.yaml"), "--out", str(tmp_path / "corpus")]
    with monkeypatch.context() as patch:
        patch.setattr("jp_adapt.corpus.parts.with_end", lambda ids, end: ids)
        assert main(prepare) == 0
    as_format_1(tmp_path / "corpus")
    capsys.readouterr()
    plan = first_plan(recipe, base, tmp_path / "run")
    assert "corpus: prepared by an earlier version (format 1), so no token ends its documents; read as it was" in capsys.readouterr().err
    encode = encoder(plain_tokenizer(base))
    targets = Counter(target for step in range(plan.num_steps) for row in plan.batch(step).targets for target in row if target != IGNORED)
    assert targets == Counter(token for text in TEXTS for token in encode(text))
    assert main(["corpus", "stats", str(tmp_path / "corpus")]) == 0
    assert "no token ends the documents (prepared by an earlier version)" in capsys.readouterr().out
    assert main(prepare) == 5
    assert "document_end: not given there, '<|endoftext|>' now" in capsys.readouterr().err
    index = json.loads((tmp_path / "corpus" / "index.json").read_text(encoding="utf-8"))
    (tmp_path / "corpus" / "index.json").write_text(json.dumps(index | {"format": 3}), encoding="utf-8")
    with pytest.raises(InputError, match="is of format 3, and this version reads formats 1 to 2"):
        TokenShards(tmp_path / "corpus")


def test_two_recipes_that_end_documents_differently_do_not_go_together(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write(tmp_path, base, "corpus")
    prepare = ["corpus", "prepare", str(tmp_path / "corpus.yaml"), "--out", str(tmp_path / "corpus")]
    assert main([*prepare, "-s", "document_end=<eod>"]) == 3
    assert "document_end is '<eod>', which is not a special token of the tokenizer in" in capsys.readouterr().err
    assert main([*prepare, "-s", "document_end=</s>"]) == 0
    with pytest.raises(InputError, match=r"its documents end with token 500, and those of this stage with token 0; say the same token in both recipes"):
        first_plan(recipe, base, tmp_path / "run")
    assert main(["run", str(recipe), "--out", str(tmp_path / "run"), "-s", "base.document_end=<eod>"]) == 3
    assert "base.document_end is '<eod>', and the tokenizer of" in capsys.readouterr().err
    assert main(["check", str(tmp_path / "corpus.yaml"), "-s", "tokenizer=null", "-s", "texts=true", "-s", "document_end=</s>"]) == 2
    assert "without 'tokenizer: FOLDER' no tokens are written" in capsys.readouterr().err


def test_a_model_learns_where_documents_end_and_the_figures_say_so(base: Path, tmp_path: Path) -> None:
    recipe = write(tmp_path, base, epochs=25)
    overrides = ["base.document_end=</s>"]
    run_recipe(load_recipe(recipe, overrides), tmp_path / "run")
    stage = tmp_path / "run" / "stages" / "cpt"
    lines = [json.loads(line) for line in (stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0]["bits_per_end/held"] > 5
    assert lines[-1]["bits_per_end/held"] < 2
    record = json.loads((stage / "stage.json").read_text(encoding="utf-8"))
    assert record["results"]["document_end"] == "</s>"
    assert record["identity"]["document_end"] == "</s>"
    scores = json.loads((tmp_path / "run" / "stages" / "eval" / "final" / "evaluation.json").read_text(encoding="utf-8"))["texts"][0]
    assert scores["adapted"]["bits_per_end"] == pytest.approx(lines[-1]["bits_per_end/held"], abs=0.01)
    assert scores["base"]["bits_per_end"] == pytest.approx(lines[0]["bits_per_end/held"], abs=0.01), "the recipe's token, not the one that its folder names"
    assert scores["adapted"]["bits_per_char"] == pytest.approx(lines[-1]["bits_per_char/held"], abs=0.01)
    assert text_side(tmp_path / "run" / "stages" / "model" / "final").document_end == 500
    with pytest.raises(Exception, match="document_end"):
        run_recipe(load_recipe(recipe), tmp_path / "run")
