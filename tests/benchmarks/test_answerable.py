"""What a model is asked can be answered: an extractive benchmark shows the text that the answer stands in, and no item's answer says that there is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.benchmarks.items import load_benchmark, load_declaration
from jp_adapt.core.shipped import shipped_benchmarks
from jp_adapt.evaluation.prompts import build_prompts
from tests.data import SHARED, needs_data

DATA = SHARED / "benchmarks"
EXTRACTIVE = re.compile("抜き出|抽出|[Ee]xtract")
# The peers' own way, to the letter: JSQuAD without its title, JAQKET with the passages that a search gave.
AS_PEERS_DO = {"ja/jsquad": 125}


def _wordings(protocol: Protocol) -> list[str]:
    variants = [f"{variant.description}{variant.prompt}" for variant in protocol.variants.values()]
    return [protocol.description + protocol.prompt, *variants]


def _extractive() -> list[str]:
    """Benchmarks whose own protocol asks for a piece of the text that it shows."""
    declared = {name: load_declaration(name)[0].protocols["jp-adapt"] for name in shipped_benchmarks()}
    return [name for name, protocol in declared.items() if any(map(EXTRACTIVE.search, _wordings(protocol)))]


def _unanswerable(name: str, data: Path, profile: str = "jp-adapt") -> int:
    """Items, over all wordings, for which no right answer stands in what the model is shown."""
    loaded = load_benchmark(name, data, shots=False)
    results = 0
    variants = next(protocol.variants for known, protocol in loaded.benchmark.protocols.items() if known == profile)
    for variant in (None, *variants):
        _, prompts = build_prompts(loaded, profile, shots=0, variant=variant)
        results += sum(not any(answer in prompt.text for answer in prompt.answers) for prompt in prompts)
    return results


def test_the_extractive_benchmarks_are_those() -> None:
    assert _extractive() == ["ja/jsquad"]


@pytest.mark.parametrize("name", _extractive())
def test_the_answer_stands_in_what_the_model_is_shown(name: str, benchmark_data: Path) -> None:
    """On invented data, of which every other answer stands in the title alone."""
    assert _unanswerable(name, benchmark_data) == 0
    assert _unanswerable(name, benchmark_data, "lm-eval-ja") > 0


@needs_data
@pytest.mark.parametrize("name", _extractive())
def test_the_answer_stands_in_what_the_model_is_shown_of_the_real_data(name: str) -> None:
    assert _unanswerable(name, DATA) == 0
    assert _unanswerable(name, DATA, "lm-eval-ja") == AS_PEERS_DO[name]


def test_a_question_whose_only_answer_is_none_is_no_item_of_niilc(tmp_path: Path) -> None:
    folder = tmp_path / "niilc" / "data"
    folder.mkdir(parents=True)
    answers = {"a": ["-"], "b": ["犬"], "c": ["", "-"], "d": ["-", "猫"], "e": ["X-1"]}
    questions = "".join(
        f'<question id="{key}"><text>{key}は？</text><answers>{"".join(f"<answer>{entry}</answer>" for entry in texts)}</answers></question>'
        for key, texts in answers.items()
    )
    for split in ("dev", "test"):
        (folder / f"NIILC-ECQA2015_{split}.xml").write_text(f"<?xml version='1.0' encoding=\"UTF-8\"?>\n<questions>{questions}</questions>", encoding="utf-8")
    loaded = load_benchmark("ja/niilc", tmp_path)
    for items in (loaded.items, loaded.shots):
        assert {item.id: item.answers for item in items} == {"b": ["犬"], "d": ["猫"], "e": ["X-1"]}


@needs_data
def test_no_shipped_benchmark_asks_for_nothing() -> None:
    """Of the real data: every item has a right answer that is more than a dash (JSQuAD has one that is "「-」", and rightly)."""
    for name in shipped_benchmarks():
        benchmark, _ = load_declaration(name)
        if benchmark.data.folder is None or not (DATA / benchmark.data.folder).is_dir() or benchmark.answers is None:
            continue
        loaded = load_benchmark(name, DATA, shots=False)
        assert all(any(answer.strip() not in ("", "-") for answer in item.answers) for item in loaded.items), name
