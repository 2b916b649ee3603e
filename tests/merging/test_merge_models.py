"""`merge models` from end to end, on small models of the real architecture."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import jp_adapt
from jp_adapt.cli.main import main
from jp_adapt.commands.merge_record import MergeRecord
from jp_adapt.core.errors import GateError, InputError, UsageError
from jp_adapt.merging import methods
from jp_adapt.merging.checkpoint import FolderWeights
from jp_adapt.merging.sparsify import mask_seed
from jp_adapt.merging.table import METHODS
from tests.merging.models import change_config, change_weights, extended, tuned, weights_of


def recipe(folder, text):
    path = folder / "merge.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("format: 1\nname: merged\n" + text, encoding="utf-8")
    return path


def merge(folder, text, out="out", **changes):
    return jp_adapt.merge_models(recipe(folder, text.format(**changes)), folder / out)


TWO = """\
method: {method}
base: base
models:
  base: {{path: {base}}}
  ja: {{path: {ja}, weight: 0.7}}
  math: {{path: {math}, weight: 0.5}}
"""


def two(method):
    return TWO.replace(", weight: 0.7", "").replace(", weight: 0.5", "") if not METHODS[method].per_model else TWO


def test_task_arithmetic_of_two_models(pico, ja, math, tmp_path):
    result = merge(tmp_path, TWO, method="task_arithmetic", base=pico, ja=ja, math=math)
    base, first, second, merged = (weights_of(folder) for folder in (pico, ja, math, result.folder))
    assert merged.keys() == base.keys()
    for name, weight in merged.items():
        assert float((weight - (base[name] + 0.7 * (first[name] - base[name]) + 0.5 * (second[name] - base[name]))).abs().max()) < 1e-6
    model = AutoModelForCausalLM.from_pretrained(result.folder)
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert AutoTokenizer.from_pretrained(result.folder).encode("It rains.") == AutoTokenizer.from_pretrained(pico).encode("It rains.")


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if entry.base])
def test_copies_of_the_base_merge_to_the_base_to_the_bit(method, pico, tmp_path):
    text = two(method).replace("weight: 0.7", "weight: 0.7, density: 0.5" if "density" in METHODS[method].per_model else "weight: 0.7")
    result = merge(tmp_path, text, method=method, base=pico, ja=pico, math=pico)
    base, merged = weights_of(pico), weights_of(result.folder)
    assert all(torch.equal(merged[name].view(torch.int32), weight.view(torch.int32)) for name, weight in base.items())


SPARSE = TWO.replace("weight: 0.7", "weight: 0.7, density: 0.5").replace("weight: 0.5", "weight: 0.5, density: 0.4")


@pytest.mark.parametrize("method", ["dare_ties", "della"])
def test_shards_change_no_weight_and_masks_come_from_seed_model_and_name(method, pico, ja, math, tmp_path):
    values = {"method": method, "base": pico, "ja": ja, "math": math}
    whole = merge(tmp_path, SPARSE, "whole", **values)
    shards = merge(tmp_path, SPARSE + "shard_bytes: 20000\n", "shards", **values)
    assert len(list(shards.folder.glob("model-*-of-*.safetensors"))) > 3
    entry, several = weights_of(whole.folder), weights_of(shards.folder)
    assert all(torch.equal(several[name], weight) for name, weight in entry.items())
    assert AutoModelForCausalLM.from_pretrained(shards.folder).model.norm.weight.equal(entry["model.norm.weight"])
    other = merge(tmp_path, SPARSE + "seed: 1\n", "other", **values)
    assert not torch.equal(weights_of(other.folder)["model.layers.0.mlp.up_proj.weight"], entry["model.layers.0.mlp.up_proj.weight"])
    if method == "dare_ties":
        name = "model.layers.1.mlp.up_proj.weight"
        base, first, second = (weights_of(folder)[name] for folder in (pico, ja, math))
        seeds = [mask_seed(0, model, name) for model in ("ja", "math")]
        assert torch.equal(methods.dare_ties(base, [first, second], [0.7, 0.5], [0.5, 0.4], seeds), entry[name])


def test_parameters_by_layer_and_module(pico, ja, tmp_path):
    text = """\
method: task_arithmetic
base: base
models:
  base: {{path: {base}}}
  ja:
    path: {ja}
    weight:
      - {{module: mlp.up_proj, layers: [1, 2], value: 0}}
      - {{module: mlp, value: [1, 0.5]}}
      - {{value: 0.25}}
"""
    merged = weights_of(merge(tmp_path, text, base=pico, ja=ja).folder)
    base, first = weights_of(pico), weights_of(ja)

    def weight(name):
        return float(((merged[name] - base[name]).flatten() @ (first[name] - base[name]).flatten()) / (first[name] - base[name]).square().sum())

    expected = {"layers.0.mlp.up_proj": 1, "layers.1.mlp.up_proj": 0, "layers.1.mlp.down_proj": 0.5, "layers.1.self_attn.q_proj": 0.25, "embed_tokens": 0.25}
    for part, value in expected.items():
        assert weight(f"model.{part}.weight") == pytest.approx(value, abs=1e-4), part


def test_slerp_and_linear_need_no_base(ja, math, tmp_path):
    text = "method: {method}\nmodels:\n  ja: {{path: {ja}{weights}}}\n  math: {{path: {math}{weights}}}\n{shared}"
    first, second = weights_of(ja), weights_of(math)
    slerp = weights_of(merge(tmp_path, text, "slerp", method="slerp", ja=ja, math=math, weights="", shared="t: 0.3\n").folder)
    assert all(torch.equal(slerp[name], methods.slerp([first[name], second[name]], 0.3)) for name in first)
    linear = weights_of(merge(tmp_path, text, "linear", method="linear", ja=ja, math=math, weights=", weight: 3", shared="").folder)
    assert all(torch.allclose(linear[name], (first[name] + second[name]) / 2, atol=1e-7) for name in first)


def test_layers_are_stacked(pico_untied, tmp_path):
    other = tuned(pico_untied, tmp_path / "other", 4)
    text = """\
method: passthrough
models:
  a: {{path: {a}}}
  b: {{path: {b}}}
slices:
  - models: {{a: {{layers: [0, 2]}}}}
  - models: {{b: {{layers: [0, 1], scale: [{{module: o_proj, value: 0}}, {{value: 1}}]}}}}
  - models: {{b: {{layers: [1, 2]}}}}
"""
    result = merge(tmp_path, text, a=pico_untied, b=other)
    a, b, merged = (weights_of(folder) for folder in (pico_untied, other, result.folder))
    name = "model.layers.{}.mlp.up_proj.weight"
    assert torch.equal(merged[name.format(1)], a[name.format(1)])
    assert torch.equal(merged[name.format(2)], b[name.format(0)])
    assert torch.equal(merged[name.format(3)], b[name.format(1)])
    assert not merged["model.layers.2.self_attn.o_proj.weight"].any()
    assert torch.equal(merged["model.embed_tokens.weight"], a["model.embed_tokens.weight"])
    assert torch.equal(merged["lm_head.weight"], b["lm_head.weight"])
    assert AutoModelForCausalLM.from_pretrained(result.folder).config.num_hidden_layers == 4
    around = weights_of(merge(tmp_path, text + "around: b\n", "around", a=pico_untied, b=other).folder)
    differing = {name for name in merged if not torch.equal(around[name], merged[name])}
    assert differing == {"model.embed_tokens.weight"}  # norm and head were those of b before
    assert torch.equal(around["model.embed_tokens.weight"], b["model.embed_tokens.weight"])


def test_a_tied_and_an_untied_model_make_an_untied_one(pico, pico_untied, tmp_path):
    result = merge(tmp_path, "method: linear\nmodels:\n  a: {{path: {a}, weight: 1}}\n  b: {{path: {b}, weight: 1}}\n", a=pico, b=pico_untied)
    tied, untied, merged = (weights_of(folder) for folder in (pico, pico_untied, result.folder))
    assert torch.allclose(merged["lm_head.weight"], (tied["model.embed_tokens.weight"] + untied["lm_head.weight"]) / 2, atol=1e-7)
    assert not AutoModelForCausalLM.from_pretrained(result.folder).config.tie_word_embeddings


@pytest.mark.parametrize(("dtype", "expected"), [("", torch.bfloat16), ("dtype: float32\n", torch.float32), ("dtype: float16\n", torch.float16)])
def test_the_written_type_is_the_bases_or_the_one_that_is_named(dtype, expected, pico, ja, math, tmp_path):
    narrow = tuned(pico, tmp_path / "narrow", 9, spread=0, dtype=torch.bfloat16)
    result = merge(tmp_path, TWO + dtype, method="task_arithmetic", base=narrow, ja=ja, math=math)
    assert {weight.dtype for weight in weights_of(result.folder).values()} == {expected}
    assert json.loads((result.folder / "config.json").read_text())["dtype"] == str(expected).removeprefix("torch.")


def test_the_card_quotes_the_recipe_word_for_word(pico, ja, math, tmp_path):
    text = "# ``` a fence in a comment\n" + TWO
    result = merge(tmp_path, text, method="ties", base=pico, ja=ja, math=math)
    card = (result.folder / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "merge.yaml").read_text(encoding="utf-8") in card
    assert "\n````yaml\n" in card
    assert "tags: [jp-adapt, merge]" in card
    assert "merged by TIES (arXiv:2306.01708)" in card
    assert MergeRecord.read(result.folder / "merge.json") == result.record


# A base with the base's vocabulary and a model that has learned Japanese tokens.

LONGER = """\
method: {method}
base: base
models:
  base: {{path: {base}}}
  math: {{path: {math}, weight: 0.5}}
  longer: {{path: {longer}, weight: 0.7}}
"""


@pytest.mark.parametrize("method", ["task_arithmetic", "ties"])
def test_base_and_extended_models_merge(method, pico, math, longer, tmp_path):
    result = merge(tmp_path, LONGER, method=method, base=pico, math=math, longer=longer)
    merged, wide = weights_of(result.folder), weights_of(longer)
    rows = wide["model.embed_tokens.weight"]
    old = len(weights_of(pico)["model.embed_tokens.weight"])
    assert merged["model.embed_tokens.weight"].shape == rows.shape
    assert torch.equal(merged["model.embed_tokens.weight"][old:], rows[old:])  # new rows come from their one owner
    records = [json.loads(line) for line in (result.folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["id"] for record in records] == list(range(old, len(rows)))
    assert records[0]["rows"] == {"base": "donor longer", "math": "donor longer", "longer": f"own {old}"}
    assert result.record.rows_filled == {"base": len(rows) - old, "math": len(rows) - old, "longer": 0}
    text = "今日は雨です。"
    assert AutoTokenizer.from_pretrained(result.folder).encode(text) == AutoTokenizer.from_pretrained(longer).encode(text)
    ids = torch.tensor([AutoTokenizer.from_pretrained(result.folder).encode(text)])
    assert int(ids.max()) >= old
    assert torch.isfinite(AutoModelForCausalLM.from_pretrained(result.folder)(input_ids=ids).logits).all()


def test_old_rows_merge_as_if_nothing_had_been_added(pico, math, longer, tmp_path):
    """The alignment by string gives the same as a merge of models of one vocabulary."""
    old = len(weights_of(pico)["model.embed_tokens.weight"])
    cut = tuned(longer, tmp_path / "cut", 0, spread=0)
    change_weights(cut, lambda name, weight: weight[:old] if name == "model.embed_tokens.weight" else weight)
    change_config(cut, vocab_size=old)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (cut / file).write_bytes((pico / file).read_bytes())
    wide = weights_of(merge(tmp_path, LONGER, "wide", method="task_arithmetic", base=pico, math=math, longer=longer).folder)
    narrow = weights_of(merge(tmp_path, LONGER, "narrow", method="task_arithmetic", base=pico, math=math, longer=cut).folder)
    assert all(torch.equal(wide[name][: len(weight)], weight) for name, weight in narrow.items())


def test_rows_made_of_the_models_own_pieces(pico, longer, tmp_path):
    text = "method: linear\nrows: pieces\nmodels:\n  base: {{path: {base}, weight: 1}}\n  longer: {{path: {longer}, weight: 3}}\n"
    result = merge(tmp_path, text, base=pico, longer=longer)
    own, wide, merged = (weights_of(folder)["model.embed_tokens.weight"] for folder in (pico, longer, result.folder))
    tokenizer = AutoTokenizer.from_pretrained(pico)
    for record in map(json.loads, (result.folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()):
        kind, pieces = record["rows"]["base"].rsplit("pieces ", 1)
        assert kind == "own "
        ids = [int(piece) for piece in pieces.split()]
        assert "".join(tokenizer.convert_ids_to_tokens(ids)) == record["token"]
        row = record["id"]
        assert torch.allclose(merged[row], (own[ids].mean(dim=0) + 3 * wide[row]) / 4, atol=1e-6)


def test_two_extensions_of_one_base_are_refused_with_the_way_out(pico, longer, tmp_path):
    other = extended(pico, tmp_path / "other", 7)
    text = "method: linear\nmodels:\n  a: {{path: {a}, weight: 1}}\n  b: {{path: {b}, weight: 1}}\n{more}"
    with pytest.raises(InputError, match=r"no tokenizer holds the tokens of all models: '[ab]' lacks \d+ tokens of '[ab]', .* say so: tokenizer: [ab]"):
        merge(tmp_path, text, a=longer, b=other, more="")
    assert not (tmp_path / "out").exists()
    result = merge(tmp_path, text, a=longer, b=other, more="tokenizer: a\n")
    assert result.record.tokens_dropped["b"] > 0
    assert AutoTokenizer.from_pretrained(result.folder).encode("今日は雨です。") == AutoTokenizer.from_pretrained(longer).encode("今日は雨です。")


def test_what_does_not_match_is_refused(pico, ja, math, tmp_path):
    hot = tuned(pico, tmp_path / "hot", 5)
    change_config(hot, rope_parameters={"rope_theta": 500000.0, "rope_type": "default"})
    with pytest.raises(
        InputError, match=r"the models compute differently: rope is .*500000.*; if that is meant, say whose configuration is kept: config: base"
    ):
        merge(tmp_path, TWO, method="ties", base=pico, ja=ja, math=hot)
    kept = merge(tmp_path, TWO + "config: math\n", method="ties", base=pico, ja=ja, math=hot)
    assert json.loads((kept.folder / "config.json").read_text())["rope_parameters"]["rope_theta"] == 500000.0
    change_config(hot, hidden_size=64)
    with pytest.raises(InputError, match="the models are of different sizes: hidden_size is 32 in 'base', 32 in 'ja', 64 in 'math'; take models of one size"):
        merge(tmp_path, TWO + "config: math\n", "x", method="ties", base=pico, ja=ja, math=hot)
    lacking = tuned(pico, tmp_path / "lacking", 5)
    change_weights(lacking, lambda name, weight: weight[:-1] if name == "model.norm.weight" else weight)
    with pytest.raises(InputError, match=r"model.norm.weight is \[31\] in 'math' and \[32\] in 'base'; take models of one size"):
        merge(tmp_path, TWO, "x", method="ties", base=pico, ja=ja, math=lacking)
    change_weights(lacking, lambda name, weight: weight * float("nan") if name == "model.norm.weight" else weight)
    (lacking / "config.json").unlink()
    with pytest.raises(InputError, match=r"'math': .* has no config.json"):
        merge(tmp_path, TWO, "x", method="ties", base=pico, ja=ja, math=lacking)
    assert not (tmp_path / "x").exists()


def test_values_that_are_not_finite_leave_nothing_behind(pico, ja, tmp_path):
    broken = tuned(pico, tmp_path / "broken", 5)
    change_weights(broken, lambda name, weight: weight * float("nan") if name == "model.norm.weight" else weight)
    with pytest.raises(GateError, match=r"model.norm.weight: values that are not finite came out"):
        merge(tmp_path, TWO, method="task_arithmetic", base=pico, ja=ja, math=broken)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_nothing_is_overwritten(pico, ja, math, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="out: exists already"):
        merge(tmp_path, TWO, method="ties", base=pico, ja=ja, math=math)


def test_command_line(pico, ja, math, tmp_path, capsys):
    path = recipe(tmp_path, TWO.format(method="task_arithmetic", base=pico, ja=ja, math=math))
    assert main(["merge", "models", str(path), "--out", str(tmp_path / "out"), "-s", "models.ja.weight=0", "-s", "models.math.weight=1"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out")
    assert all(torch.equal(weights_of(tmp_path / "out")[name], weight) for name, weight in weights_of(math).items())
    assert FolderWeights(tmp_path / "out").tensors.keys() == FolderWeights(math).tensors.keys()
