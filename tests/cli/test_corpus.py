"""`jp-adapt corpus` as a user meets it: recipes right and wrong, the shipped sources on local copies, and a training run on what was prepared."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.cli.main import main
from jp_adapt.core.shipped import shipped_sources
from jp_adapt.corpus.overlap import read_overlap
from jp_adapt.corpus.shards import TokenShards
from tests.conftest import QUICKSTART, documents

BASIC = """\
format: 1
name: mine
tokenizer: {tokenizer}
sources:
  ja: {{path: "texts/*.jsonl", language: ja, licence: CC0-1.0, on_error: skip}}
  en: {{path: [{en}], language: en, licence: Apache-2.0, documents: 5}}
mixture: {{weights: {{ja: 0.75, en: 0.25}}, max_epochs: {{en: 2}}}}
"""


@pytest.fixture
def recipe(tmp_path: Path, pico: Path) -> Path:
    """A corpus recipe over a Japanese file with two broken lines, and an English one."""
    (tmp_path / "texts").mkdir()
    good = [json.dumps({"text": text}, ensure_ascii=False) for text in documents("ja_train.jsonl")[:20]]
    lines = [*good[:3], '{"text": 1}', *good[3:], good[0], "{"]
    (tmp_path / "texts" / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(BASIC.format(tokenizer=pico, en=QUICKSTART / "en_train.jsonl"), encoding="utf-8")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_prepare_and_stats(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "corpus", "prepare", recipe, "--out", tmp_path / "out", "--json")
    assert code == 0
    report = json.loads(out)
    ja, en = report["sources"]
    assert (ja["documents"], en["documents"]) == (20, 5)
    assert ja["problems"]["count"] == 2
    assert f"{tmp_path / 'texts' / 'a.jsonl'}:4: field 'text' is 1, and text is needed" in ja["problems"]["first"][0]
    assert report["steps"]["deduplicate"]["ja"]["dropped"]["exact duplicate"][0] == 1
    assert (ja["mixture_share"], en["mixture_share"]) == (0.75, 0.25)
    assert ja["chars_per_token"] == pytest.approx(ja["characters"] / ja["tokens"])

    code, out, _ = run(capsys, "corpus", "stats", tmp_path / "out", "--json")
    assert code == 0
    assert json.loads(out) == report | {"shards": 1, "dtype": "<u2"}
    code, out, _ = run(capsys, "corpus", "stats", tmp_path / "out", "--html", tmp_path / "page.html")
    assert code == 0
    assert out.splitlines()[1].split() == ["ja", "20", f"{ja['characters']:,}", f"{ja['tokens']:,}", f"{ja['chars_per_token']:.3f}", "75.0%"]
    assert "ja: 2 documents could not be read, the first: " in out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page == (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    for part in ("hiragana", "CC0-1.0", "exact duplicate", documents("ja_train.jsonl")[0][:30], "a.jsonl:4"):
        assert part in page
    assert (tmp_path / "out" / "recipe.yaml").read_text(encoding="utf-8") == recipe.read_text(encoding="utf-8")

    assert run(capsys, "corpus", "stats", tmp_path / "out", "--html", tmp_path / "page.html")[0] == 2, "a user's file is never overwritten"
    code, _, err = run(capsys, "corpus", "prepare", recipe, "--out", tmp_path / "out", "-s", "deduplicate=none")
    assert code == 5
    assert "holds another corpus; these settings differ:\n  recipe.deduplicate" in err


WRONG: dict[str, tuple[str, str, int, str]] = {
    "unknown key": ("licence: CC0-1.0", "lisense: CC0-1.0", 2, "mine.yaml:5: unknown key 'lisense' (did you mean 'license'?)"),
    "no place": ('path: "texts/*.jsonl", ', "", 2, "mine.yaml:5: sources.ja: name one place: 'path' (local files) or 'dataset' (of the hub)"),
    "no revision": ('path: "texts/*.jsonl"', "dataset: a/b", 2, "a hub dataset needs 'revision'"),
    "unknown declaration": ('path: "texts/*.jsonl"', "use: wikipedia-jp", 2, "mine.yaml:5: no shipped source 'wikipedia-jp' (did you mean 'wikipedia-ja'?)"),
    "a weight too few": ("ja: 0.75, ", "", 2, "the mixture has no weight for 'ja'"),
    "a weight of nothing": ("ja: 0.75", "ja: 0", 2, "a weight or number of epochs is above 0"),
    "an unknown source": ("max_epochs: {en", "max_epochs: {fr", 2, "the mixture names 'fr', which is not a source; sources: ja, en"),
    "nothing to make": ("tokenizer: ", "title: ", 2, "say what to make: 'tokenizer: FOLDER' for token shards, 'texts: true' for clean texts, or both"),
    "no file": ("*.jsonl", "*.parquet", 3, "no file matches this pattern"),
    "a broken line": ("on_error: skip", "on_error: refuse", 3, "a.jsonl:4: field 'text' is 1, and text is needed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_recipe_is_told_with_its_line(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    right, wrong, expected, message = WRONG[name]
    text = recipe.read_text(encoding="utf-8")
    assert right in text
    recipe.write_text(text.replace(right, wrong), encoding="utf-8")
    for command in (("corpus", "prepare", recipe, "--out", tmp_path / "out"), ("check", recipe)):
        if name == "a broken line" and command[0] == "check":
            continue  # only the first document of a file is looked at
        code, _, err = run(capsys, *command)
        assert code == expected
        assert message in err
    assert not (tmp_path / "out").exists()


def test_check_says_what_a_corpus_recipe_does(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.write_text(recipe.read_text(encoding="utf-8") + "steps: [{kind: normalise, sources: [ja]}]\n", encoding="utf-8")
    assert run(capsys, "check", recipe)[:2] == (0, f"{recipe}: OK, no problems\nja, en (sources) -> normalise -> deduplicate\n")
    code, out, _ = run(capsys, "check", recipe, "-s", "deduplicate=none", "--json")
    assert (code, json.loads(out)["deduplicate"]) == (0, "none")
    assert run(capsys, "check", "quickstart-corpus")[0] == 0
    code, _, err = run(capsys, "check", recipe, "-s", "sources.ja.path=none.jsonl", "-s", "sources.en.field=body")
    assert code == 3
    first, second = err.splitlines()
    assert first == "error: source 'ja': none.jsonl: no such file; check the path"
    assert second.startswith("source 'en': ")
    assert "no text in field 'body'" in second


def test_another_file_to_keep_out_is_another_corpus(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Texts to decontaminate against decide the corpus: what is in them, not where they lie."""
    for name, texts in (("a", documents("ja_train.jsonl")[:1]), ("b", documents("ja_train.jsonl")[1:3])):
        (tmp_path / name).mkdir()
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (tmp_path / name / "held.jsonl").write_text(lines, encoding="utf-8")
    step = "steps:\n  - {kind: decontaminate, benchmarks: [], files: [a/held.jsonl, b/held.jsonl]}\n"
    recipe.write_text(recipe.read_text(encoding="utf-8") + step, encoding="utf-8")
    code, out, _ = run(capsys, "corpus", "prepare", recipe, "--out", tmp_path / "out", "--json")
    assert code == 0
    assert json.loads(out)["sources"][0]["documents"] == 17, "both files, though they have one name, and the copy of the first document"
    (tmp_path / "b").rename(tmp_path / "c")
    moved = f"steps.0.files=[{tmp_path}/a/held.jsonl, {tmp_path}/c/held.jsonl]"
    assert run(capsys, "corpus", "prepare", recipe, "--out", tmp_path / "out", "-s", moved)[0] == 0, "another place is the same corpus"
    with (tmp_path / "a" / "held.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "もう一つの文書を、ここに足します。"}\n')
    code, _, err = run(capsys, "corpus", "prepare", recipe, "--out", tmp_path / "out", "-s", moved)
    assert code == 5
    assert "these settings differ:\n  step_inputs.held.jsonl\nGive another --out, or move it away" in err


def test_a_folder_without_a_tokenizer(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "corpus", "prepare", recipe, "--out", tmp_path / "out", "-s", f"tokenizer={tmp_path}")
    assert code == 3
    assert f"{tmp_path}: no tokenizer.json here" in err


def test_the_shipped_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "corpus", "prepare", "quickstart-corpus", "--out", tmp_path / "out", "--json")
    assert code == 0
    assert [source["documents"] > 30 for source in json.loads(out)["sources"]] == [True, True]
    assert (tmp_path / "out" / "texts.jsonl.zst").is_file()


def test_a_copied_example_runs_from_its_new_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "copy", "quickstart-corpus", tmp_path / "mine")
    assert code == 0
    assert Path(out.strip()) == tmp_path / "mine" / "corpora" / "quickstart-corpus.yaml"
    assert run(capsys, "corpus", "prepare", out.strip(), "--out", tmp_path / "out", "-s", "deduplicate=none")[0] == 0


@pytest.mark.parametrize(("deduplicate", "left"), [("none", 3), ("exact", 2), ("near", 1)])
def test_which_repeated_documents_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str], deduplicate: str, left: int) -> None:
    text = "".join(documents("ja_train.jsonl")[:3])
    near = text.replace("。", "、", 2)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": entry}) + "\n" for entry in (text, near, text)), encoding="utf-8")
    recipe = tmp_path / "one.yaml"
    source = "{path: a.jsonl, language: ja, licence: none}"
    recipe.write_text(f"format: 1\nname: one\ntexts: true\ndeduplicate: {deduplicate}\nsources: {{a: {source}}}\n", encoding="utf-8")
    code, out, _ = run(capsys, "corpus", "prepare", recipe, "--out", tmp_path / "out", "--json")
    assert (code, json.loads(out)["sources"][0]["documents"]) == (0, left)


TEXTS = ["日本語の記事。", "二つ目の文書。\n改行あり。"]


def _copy(name: str, folder: Path) -> str:
    """A local copy of a public corpus in the format that it has, of two documents; its path."""
    lines = "".join(json.dumps({"text": text, "url": "https://example.com", "meta": {}}, ensure_ascii=False) + "\n" for text in TEXTS)
    if name in ("wikipedia-ja", "culturax-ja", "fineweb2-ja"):
        pq.write_table(pa.table({"id": ["1", "2"], "url": ["a", "b"], "text": TEXTS}), folder / "train-00000-of-00015.parquet")
        return "train-*.parquet"
    if name == "cc100-ja":
        (folder / "ja.txt.xz").write_bytes(lzma.compress("\n\n".join(TEXTS).encode()))
        return "ja.txt.xz"
    file = "c4-ja.tfrecord-00000-of-01024.json.gz" if name == "mc4-ja" else "train_0.jsonl.gz"
    (folder / file).write_bytes(gzip.compress(lines.encode()))
    return "*.gz"


@pytest.mark.parametrize("name", shipped_sources())
def test_a_local_copy_of_every_shipped_source_is_read(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "one.yaml"
    recipe.write_text(f"format: 1\nname: one\ntexts: true\nsources:\n  a: {{use: {name}, path: '{_copy(name, tmp_path)}'}}\n", encoding="utf-8")
    code, out, err = run(capsys, "corpus", "prepare", recipe, "--out", tmp_path / "out", "--json")
    assert code == 0, err
    (source,) = json.loads(out)["sources"]
    assert (source["documents"], source["characters"]) == (2, sum(map(len, TEXTS)))
    assert source["licence"]


def test_a_shipped_source_of_the_hub_needs_the_network(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    recipe = tmp_path / "one.yaml"
    recipe.write_text("format: 1\nname: one\ntexts: true\nsources:\n  a: {use: wikipedia-ja, documents: 2}\n", encoding="utf-8")
    code, _, err = run(capsys, "corpus", "prepare", recipe, "--out", tmp_path / "out")
    assert code == 3
    assert "wikimedia/wikipedia at b04c8d1ceb2f5cd4588862100d08de323dccfbaa: the hub cannot be reached" in err


TRAINING = """\
format: 1
name: trained
base: {{path: {base}}}
precision: float32
sources:
  mix: {{path: {corpus}, language: ja, licence: CC0-1.0}}
stages:
  - {{id: cpt, kind: pretrain, start: base, data: [{{source: mix}}], budget: {{tokens: 1200}}, sequence_tokens: 64, batch_tokens: 256}}
"""


def test_a_training_stage_reads_a_prepared_corpus(recipe: Path, tmp_path: Path, pico: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "corpus", "prepare", recipe, "--out", tmp_path / "corpus")[0] == 0
    path = tmp_path / "trained.yaml"
    path.write_text(TRAINING.format(base=pico, corpus=tmp_path / "corpus"), encoding="utf-8")
    assert run(capsys, "check", path)[0] == 0
    code, _, err = run(capsys, "run", path, "--out", tmp_path / "run")
    assert code == 0, err
    results: dict[str, Any] = json.loads((tmp_path / "run" / "stages" / "cpt" / "stage.json").read_text(encoding="utf-8"))["results"]
    shards = TokenShards(tmp_path / "corpus")
    tokens = results["tokens_by_source"]
    assert list(tokens) == ["mix/ja", "mix/en"]
    for name, share in (("ja", 0.75), ("en", 0.25)):
        assert 1200 * share <= tokens[f"mix/{name}"] < 1200 * share + max(shards.documents(name).sizes)
    assert results["epochs_by_source"]["mix/en"] == pytest.approx(tokens["mix/en"] / int(shards.documents("en").sizes.sum()))


def test_tokens_of_another_tokenizer_are_refused(recipe: Path, tmp_path: Path, pico_untied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = json.loads((pico_untied / "tokenizer.json").read_text(encoding="utf-8"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "tokenizer.json").write_text(json.dumps(tokenizer, indent=1), encoding="utf-8")
    assert run(capsys, "corpus", "prepare", recipe, "--out", tmp_path / "corpus", "-s", f"tokenizer={other}")[0] == 0
    path = tmp_path / "trained.yaml"
    path.write_text(TRAINING.format(base=pico_untied, corpus=tmp_path / "corpus"), encoding="utf-8")
    code, _, err = run(capsys, "run", path, "--out", tmp_path / "run")
    assert code == 3
    assert f"{tmp_path / 'corpus'}: was made with another tokenizer" in err
    assert "prepare it again with -s tokenizer=FOLDER" in err


def test_a_pasted_benchmark_item_is_dropped_and_stands_in_the_table_that_an_evaluation_reads(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    item = load_benchmark("quickstart/ja-everyday-100", None).items[17]
    question = next(value for value in item.fields.values() if isinstance(value, str) and len(value) > 15)
    planted = json.dumps({"text": f"きのうの新聞に、つぎの問いが出ていました。{question}みなさんはどう答えますか。"}, ensure_ascii=False)
    source = tmp_path / "texts" / "a.jsonl"
    source.write_text(source.read_text(encoding="utf-8") + "\n" + planted, encoding="utf-8")
    step = "steps:\n  - {kind: decontaminate, benchmarks: [quickstart/ja-everyday-100], min_share: 0.3}\n"
    recipe.write_text(recipe.read_text(encoding="utf-8") + step, encoding="utf-8")
    code, out, _ = run(capsys, "corpus", "prepare", recipe, "--out", tmp_path / "out", "--json")
    assert code == 0
    assert json.loads(out)["steps"]["decontaminate"]["ja"]["dropped"] == {"holds a benchmark item": [1, len(json.loads(planted)["text"])]}
    results = read_overlap(tmp_path / "out" / "overlap.jsonl")
    assert list(results) == ["quickstart/ja-everyday-100"]
    assert list(results["quickstart/ja-everyday-100"]) == [item.id]
    assert results["quickstart/ja-everyday-100"][item.id] > 0.3
