"""Commands from Python: recipes by name, paths as text, and short words for what a notebook shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import jp_adapt
from jp_adapt.core.errors import InputError, UsageError
from tests.conftest import QUICKSTART
from tests.recipes import write_small_recipe

JA, JA_HELDOUT = str(QUICKSTART / "ja_train.jsonl"), str(QUICKSTART / "ja_heldout.jsonl")


def test_a_tokenizer_is_built_shortened_and_compared_by_text(pico: Path, ja_corpus: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    report = jp_adapt.build_tokenizer(str(pico), ja_corpus, 60, out, heldout=(JA_HELDOUT,))
    assert report.extension.new_tokens == 60
    loaded = jp_adapt.load_tokenizer(out)
    assert repr(loaded).startswith(f"<LoadedTokenizer {loaded.tokenizer.family}, {loaded.tokenizer.vocab_size:,} tokens, of {out}/tokenizer.json")
    assert repr(loaded.tokenizer) == f"<BpeTokenizer {loaded.tokenizer.family}, {loaded.tokenizer.vocab_size:,} tokens>"
    extension, criteria = jp_adapt.prefix_tokenizer(out, 20, str(tmp_path / "short"))
    assert repr(extension).startswith(f"<Extension of {loaded.tokenizer.family} by ")
    assert all(isinstance(entry, jp_adapt.Criterion) for entry in criteria)
    compared = jp_adapt.compare_tokenizers([pico, out], JA_HELDOUT)
    base, extended = (row.measure.chars_per_token for row in compared.rows)
    assert extended > base


def test_a_corpus_by_the_path_of_its_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"format: 1\nname: mine\nsources:\n  ja: {{path: {JA}, language: ja, license: private}}\ntexts: true\n", encoding="utf-8")
    report = jp_adapt.prepare_corpus(str(recipe), str(tmp_path / "out"))
    assert report.sources[0].documents > 0
    assert jp_adapt.corpus_stats(str(tmp_path / "out")).sources[0].documents == report.sources[0].documents


def test_a_recipe_is_checked_and_planned_by_its_path(pico: Path, tmp_path: Path) -> None:
    recipe = str(write_small_recipe(tmp_path, pico))
    assert jp_adapt.check_recipe(recipe) == []
    assert jp_adapt.plan_recipe(recipe, "cpu-2core")["device"]["name"] == "cpu-2core"
    with pytest.raises(UsageError, match="no recipe 'quickstar' \\(did you mean 'quickstart'"):
        jp_adapt.check_recipe("quickstar")


def test_evaluate_takes_names_and_paths_as_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"evaluate: no option 'benchmark' \(did you mean 'benchmarks'\?\); options: .*suite, benchmarks"):
        jp_adapt.evaluate("model", str(tmp_path), benchmark="x")
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match=r"model: no config.json|config.json"):
        jp_adapt.evaluate(str(tmp_path / "model"), str(tmp_path / "out"), benchmarks="quickstart/ja-everyday-100", data="nowhere")


def test_what_is_shipped_is_listed() -> None:
    assert "quickstart" in jp_adapt.shipped_recipes()
    assert json.dumps(sorted(jp_adapt.shipped_suites()))
    assert "ja/jnli" in jp_adapt.shipped_benchmarks()


def test_one_text_is_one_entry_and_not_its_letters(pico: Path, tmp_path: Path) -> None:
    recipe = str(write_small_recipe(tmp_path, pico))
    assert jp_adapt.load_recipe(recipe, "seed=11").recipe.seed == 11
    with pytest.raises(UsageError, match=r"Q9_9.* not a type that is exported"):
        jp_adapt.export_gguf(pico, tmp_path / "x.gguf", "Q9_9")
    assert len(jp_adapt.compare_tokenizers(str(pico), JA_HELDOUT).rows) == 1
    options = jp_adapt.AdviceOptions(budget_tokens=1000, sizes=(20,), device="cpu-2core")
    assert jp_adapt.advise(str(pico), JA_HELDOUT, options).corpus_chars > 0


def test_numbers_that_say_nothing_are_refused_with_the_rule(pico: Path, tmp_path: Path) -> None:
    recipe = str(write_small_recipe(tmp_path, pico))
    for plan in ({"devices": 0}, {"micro_rows": -1}, {"price": -1.0}, {"price": float("nan")}):
        with pytest.raises(UsageError, match=rf"{next(iter(plan))} is .*: a number of at least [01] is needed"):
            jp_adapt.plan_recipe(recipe, "cpu-2core", **plan)
    numbers = (
        {"budget_tokens": -5},
        {"budget_hours": 0.0},
        {"devices": 0},
        {"price": -1.0},
        {"serve_chars_per_day": -1},
        {"base_bits": -1.0},
        {"sizes": (-1,)},
    )
    for given in numbers:
        with pytest.raises(UsageError, match=r" is .*: a number (of at least [01]|above 0) is needed"):
            jp_adapt.advise(str(pico), JA_HELDOUT, jp_adapt.AdviceOptions(**{"budget_tokens": 1000, "device": "cpu-2core"} | given))
    with pytest.raises(UsageError, match="number of new tokens is 0: a number of at least 1 is needed"):
        jp_adapt.build_tokenizer(pico, JA, 0, tmp_path / "out")
    with pytest.raises(UsageError, match="no tokenizer is named"):
        jp_adapt.compare_tokenizers([], JA_HELDOUT)
    with pytest.raises(UsageError, match="types names none"):
        jp_adapt.export_gguf(pico, tmp_path / "x.gguf", [])
