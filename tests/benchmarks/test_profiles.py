"""Profiles: ours, those of a user's own, and the name that was given up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.benchmarks.items import load_benchmark, load_declaration, named_benchmarks, protocol_of
from jp_adapt.benchmarks.profiles import PROFILES, RETIRED
from jp_adapt.core.errors import UsageError
from jp_adapt.core.shipped import shipped_benchmarks, shipped_suites
from jp_adapt.evaluation.prompts import build_prompts

DECLARATION = """\
format: 1
kind: generate
version: "1"
title: Capitals
license: CC0-1.0
source: here
language: ja
data:
  test: {files: [items.jsonl], reader: jsonl}
id: "{{ id }}"
answers: ["{{ answer }}"]
profiles:
  mine: {title: Our own rules, shots: first, start: nothing}
protocols:
  jp-adapt: {prompt: "{{ question }}", max_chars: 20, metrics: [exact_match]}
  mine:
    shots: 1
    examples:
      - {question: "イタリアの首都は？", answer: "ローマ"}
    prompt: "Q: {{ question }}\\nA: "
    max_chars: 20
    metrics: [exact_match]
"""


def write(folder: Path, text: str = DECLARATION) -> str:
    items = [{"id": "a", "question": "フランスの首都は？", "answer": "パリ"}, {"id": "b", "question": "日本の首都は？", "answer": "東京"}]
    (folder / "items.jsonl").write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return str(folder / "mine.yaml")


def test_a_profile_of_ones_own_has_its_rules_and_its_examples(tmp_path: Path) -> None:
    name = write(tmp_path)
    assert named_benchmarks(None, [name], "mine") == ([name], "mine")
    loaded = load_benchmark(name)
    rules = loaded.benchmark.rules("mine")
    assert (rules.boundary, rules.shots, rules.start) == ("safe", "first", "nothing")
    assert [prompt.text for prompt in build_prompts(loaded, "mine")[1]] == [
        "Q: イタリアの首都は？\nA: ローマ\n\nQ: フランスの首都は？\nA: ",
        "Q: イタリアの首都は？\nA: ローマ\n\nQ: 日本の首都は？\nA: ",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  mine: {title", "  jp-adapt: {title", r"profiles\.jp-adapt: this name is taken"),
        ("  mine:\n", "  others:\n", r"protocols\.others: no profile 'others'; declare it in 'profiles', or take one of jp-adapt, .*, mine"),
        ("  mine:\n", "  llm-jp-eval:\n", r"protocols\.llm-jp-eval: it followed no release .* llm-jp-eval-1\.1 .* llm-jp-eval-1\.3"),
        ("shots: first", "shots: second", r"mine\.yaml:13: profiles\.mine\.shots: .*balanced"),
    ],
)
def test_a_wrong_profile_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_declaration(write(tmp_path, DECLARATION.replace(old, new)))


def test_an_example_that_lacks_a_field_is_named(tmp_path: Path) -> None:
    loaded = load_benchmark(write(tmp_path, DECLARATION.replace(', answer: "ローマ"', "")))
    with pytest.raises(Exception, match=r"mine\.yaml: example 1: template '{{ answer }}' cannot be filled in"):
        build_prompts(loaded, "mine")


@pytest.mark.parametrize("profile", RETIRED)
def test_a_name_that_was_given_up_names_what_to_take(profile: str) -> None:
    with pytest.raises(UsageError, match=r"profile 'llm-jp-eval': it followed no release to the letter; llm-jp-eval-1\.1 .* llm-jp-eval-1\.3"):
        named_benchmarks(None, ["ja/jnli"], profile)


def test_a_profile_that_nobody_has() -> None:
    with pytest.raises(UsageError, match=r"no profile 'lm-eval-jp' \(did you mean 'lm-eval-ja'\?\)"):
        named_benchmarks(None, ["ja/jnli"], "lm-eval-jp")


def test_every_profile_is_one_of_a_benchmark() -> None:
    assert {profile for name in shipped_benchmarks() for profile in load_declaration(name)[0].protocols} == set(PROFILES)


@pytest.mark.parametrize("suite", shipped_suites())
def test_every_benchmark_of_a_suite_has_its_profile(suite: str) -> None:
    names, profile = named_benchmarks(suite, [], None)
    assert all(protocol_of(name, load_declaration(name)[0], profile) for name in names)
