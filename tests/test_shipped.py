"""What is shipped is right: recipes, benchmarks, the text of the quickstart, and the commands that the README names."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.benchmarks.items import load_benchmark, load_declaration, load_suite
from jp_adapt.core import shipped
from jp_adapt.core.shipped import shipped_benchmarks, shipped_corpora, shipped_recipes, shipped_sources, shipped_suites
from jp_adapt.corpus.sources import expand_paths
from jp_adapt.recipe.load import load_recipe
from jp_adapt.recipe.load_corpus import load_corpus
from jp_adapt.recipe.schema import Recipe
from jp_adapt.report.run_summary import read_control
from tests import word_problems
from tests.japanese import japanese_share

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "recipes" / "data" / "quickstart"
FILES = ("ja_train", "ja_heldout", "en_train", "en_heldout")


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").split("\n") if line]


def shared_run(text: str, runs: set[str], length: int) -> str | None:
    """The first `length` characters that `text` has in common with a text of `runs`."""
    return next((text[at : at + length] for at in range(len(text) - length + 1) if text[at : at + length] in runs), None)


def all_runs(texts: list[str], length: int) -> set[str]:
    return {text[at : at + length] for text in texts for at in range(len(text) - length + 1)}


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_loads_and_says_what_it_is(name: str) -> None:
    loaded = load_recipe(name, need_files=False)
    assert loaded.recipe.name == name
    assert loaded.recipe.title
    assert loaded.text.startswith("# "), "a comment block first: what this is, what it needs, how to run, what to look at"
    assert all(source.license for source in loaded.recipe.sources.values())
    resolved = loaded.recipe.model_dump(mode="json", exclude_none=True)  # as the run folder has it, all defaults written out
    assert Recipe.model_validate(resolved) == loaded.recipe


def test_the_control_of_the_quickstart_is_the_one_that_the_readme_shows() -> None:
    control = read_control(Path(str(load_recipe("quickstart").recipe.control)))
    japanese = control.headline.bits_per_char_ja
    assert japanese is not None
    assert f"| **{japanese.adapted:.3f}** |" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert control.base_sha256
    assert [(text.id, bool(text.sha256)) for text in control.texts] == [("ja_heldout", True), ("en_heldout", True)], "a run with others goes without it"
    assert control.training_s > 0
    assert load_recipe("quickstart-sft").recipe.control is None


def test_a_recipe_that_nobody_ran_says_so_in_its_header_and_in_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    from jp_adapt.cli.main import main

    assert main(["list"]) == 0
    listed = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    untested = [name for name in shipped_recipes() if load_recipe(name, need_files=False).recipe.untested]
    assert len(untested) == 8
    for name, path in shipped_recipes().items():
        assert listed[name].endswith("(not run at this size yet)") == (name in untested)
        assert ("# Run:   not yet" in path.read_text(encoding="utf-8")) == (name in untested)


@pytest.mark.parametrize("name", shipped_benchmarks())
def test_every_benchmark_loads(name: str) -> None:
    benchmark, _ = load_declaration(name)
    assert benchmark.title
    assert benchmark.license
    if benchmark.data.folder is None:
        assert len(load_benchmark(name).items) > 0


@pytest.mark.parametrize("name", shipped_suites())
def test_every_suite_names_shipped_benchmarks(name: str) -> None:
    suite = load_suite(name)
    assert set(suite.benchmarks) <= shipped_benchmarks().keys()
    assert all(suite.profile in load_declaration(benchmark)[0].protocols for benchmark in suite.benchmarks)


@pytest.mark.parametrize("name", shipped_corpora())
def test_every_corpus_recipe_loads_and_its_files_are_there(name: str) -> None:
    loaded = load_corpus(name)
    assert loaded.recipe.name == name
    assert loaded.recipe.title
    assert loaded.text.startswith("# ")
    for source in loaded.recipe.sources.values():
        assert source.path is None or expand_paths([source.path] if isinstance(source.path, str) else source.path)


@pytest.mark.parametrize("name", shipped_sources())
def test_every_source_declaration_says_how_it_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").touch()
    recipe = tmp_path / "corpus.yaml"
    recipe.write_text(f"format: 1\nname: mine\ntexts: true\nsources:\n  web: {{use: {name}, path: texts.jsonl}}\n", encoding="utf-8")
    source = load_corpus(recipe).recipe.sources["web"]
    text = shipped_sources()[name].read_text(encoding="utf-8")
    assert source.language == "ja"
    assert source.license
    assert text.startswith("# ")
    assert f"use: {name}, path: " in text, "how a copy of one's own is read"


def test_something_is_shipped() -> None:
    assert "quickstart" in shipped_recipes()
    assert "quickstart/ja-everyday-100" in shipped_benchmarks()


def test_no_python_lies_among_the_declarations() -> None:
    """A flat editable install would make it importable."""
    files = [path for folder in ("recipes", "eval") for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert len(files) >= 8
    assert [path for path in files if path.suffix in (".py", ".pyc", ".pyi", ".so")] == []


def test_every_yaml_among_the_declarations_is_listed() -> None:
    kinds = [kind for name, kind in vars(shipped).items() if name.startswith("shipped_") and name != "shipped_folder"]
    listed = {path for kind in kinds for path in kind().values()}
    assert {path for folder in ("recipes", "eval") for path in (ROOT / folder).rglob("*.yaml")} == listed


def test_the_word_problems_are_those_that_are_made() -> None:
    for name, text in word_problems.files().items():
        assert (ROOT / name).read_text(encoding="utf-8") == text


def test_no_japanese_problem_has_the_calculation_of_an_english_one() -> None:
    made = word_problems.files()
    asked = [json.loads(line) for line in made["eval/quickstart/ja-problems.jsonl"].splitlines()]
    learned = [json.loads(line)["text"] for line in made["recipes/data/evolve/en_problems.jsonl"].splitlines()]
    right = {item["choices"][item["answer"]].partition(" =")[0] for item in asked}
    assert len(right) == len(asked) == 360
    assert right.isdisjoint(text.partition("\n")[2].partition(" =")[0] for text in learned)
    assert all(len(set(item["choices"])) == 4 for item in asked)


def test_the_japanese_corpus_is_large_and_varied_enough() -> None:
    documents = records("ja_train") + records("ja_heldout")
    assert len(documents) >= 250
    assert sum(len(document["text"]) for document in documents) >= 60_000
    assert len({document["topic"] for document in documents}) >= 15


@pytest.mark.parametrize("name", FILES)
def test_every_document_is_whole(name: str) -> None:
    documents = records(name)
    for document in documents:
        assert document.keys() == {"id", "topic", "genre", "text"}
        assert document["text"].strip() == document["text"] != ""
        assert "\ufffd" not in document["text"]
        share = japanese_share(document["text"])
        assert share > 0.8 if name.startswith("ja") else share == 0, document["id"]


@pytest.mark.parametrize("language", ["ja", "en"])
def test_no_document_stands_twice(language: str) -> None:
    documents = records(f"{language}_train") + records(f"{language}_heldout")
    for key in ("id", "text"):
        assert [value for value, number in Counter(document[key] for document in documents).items() if number > 1] == []


@pytest.mark.parametrize("language", ["ja", "en"])
def test_no_heldout_document_shares_a_run_with_the_training_text(language: str) -> None:
    runs = all_runs([document["text"] for document in records(f"{language}_train")], 40)
    assert {document["id"]: run for document in records(f"{language}_heldout") if (run := shared_run(document["text"], runs, 40))} == {}


def test_no_benchmark_question_shares_a_run_with_the_training_text() -> None:
    runs = all_runs([document["text"] for name in ("ja_train", "en_train") for document in records(name)], 20)
    shipped = [name for name in shipped_benchmarks() if load_declaration(name)[0].data.folder is None]
    assert "quickstart/ja-everyday-100" in shipped
    for name in shipped:
        assert {item.id: run for item in load_benchmark(name).items if (run := shared_run(item.fields["question"], runs, 20))} == {}


def test_a_shared_run_would_be_found() -> None:
    assert shared_run("abcdef", all_runs(["xxcdexx"], 3), 3) == "cde"
    assert shared_run("abcdef", all_runs(["xxcdexx"], 4), 4) is None


def test_the_table_of_the_corpus_is_true() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for name in FILES:
        documents = records(name)
        row = f"| `{name}.jsonl` | {len(documents)} | {sum(len(document['text']) for document in documents):,} |"
        assert row in readme


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert {"install", "quickstart", "test", "check", "format", "build"} <= targets
    for name in ("README.md", "README_ja.md", "CONTRIBUTING.md", "recipes/quickstart.yaml"):
        path = ROOT / name
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            code = [
                *re.findall(r"`([^`\n]+)`", text),
                *(line for line in text.splitlines() if line.startswith("    ")),
                *re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL),
            ]
            named = {target for part in code for target in re.findall(r"\bmake ([a-z][a-z-]*)", part)}
            assert named <= targets, f"{name} names targets that the Makefile lacks"


def test_every_command_that_the_readme_names_exists() -> None:
    from jp_adapt.cli.main import VERBS

    for name in ("README.md", "README_ja.md", "CONTRIBUTING.md"):
        path = ROOT / name
        if path.is_file():
            named = set(
                re.findall(r"\bjp-adapt ([a-z]+)\b", "\n".join(re.findall(r"`+[^`]+`+|^ {4}.+$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)))
            )
            assert named <= set(VERBS), f"{name} names commands that do not exist"
