"""Texts become tokens: what stands before them, for every profile, and what is cut where they are too long."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.benchmarks.pictures import Picture
from jp_adapt.benchmarks.profiles import PROFILES, Start
from jp_adapt.evaluation.prompts import build_prompts
from jp_adapt.evaluation.run import run_benchmark
from jp_adapt.inference.answer import Continuation
from jp_adapt.inference.backend import Ask
from jp_adapt.inference.text_side import Starts
from jp_adapt.inference.token_backend import TokenBackend, in_view
from jp_adapt.inference.trie import Request

DOCUMENT, OWN, BOS, EOS = 900, 901, 902, 903
STARTS = Starts(DOCUMENT, (OWN,), BOS, EOS)


def quiet(done: int, note: str) -> None:
    pass


class Recording:
    """An engine that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Continuation] = []
        self.scored: list[Request] = []

    def log_likelihoods(self, requests: Sequence[Request], max_tokens: int, advance: object) -> list[float]:
        self.scored += requests
        return [0.0] * len(requests)

    def continue_prompts(self, requests: Sequence[Continuation], advance: object) -> list[str]:
        self.asked += requests
        return ["答え"] * len(requests)

    def take_warnings(self) -> list[str]:
        return []


def test_few_pictures_are_in_view_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jp_adapt.inference.token_backend.PICTURES_IN_VIEW", 2)
    a, b, c = (Picture(name, name, b"") for name in "abc")
    shown: list[tuple[Picture, ...]] = [(a,), (a, b), (b,), (c,), (a, b, c), (), (c,)]
    assert [list(group) for group in in_view(shown)] == [[0, 1, 2], [3], [4], [5, 6]]
    assert [list(group) for group in in_view([(), (), ()])] == [[0, 1, 2]]


def backend(engine: Recording, max_tokens: int = 4000) -> TokenBackend:
    return TokenBackend(
        engine,
        lambda text: [ord(letter) % 800 for letter in text],
        starts=STARTS,
        max_tokens=max_tokens,
        render_chat=lambda turns, user, system: f"<s>{system}{user}",
    )


def test_a_prompt_takes_all_positions_only_where_it_is_asked_so() -> None:
    engine = Recording()
    asked = backend(engine, max_tokens=100)
    asked.positions = 1000
    text = "x" * 950
    cuts = [asked.write([Ask(text, max_tokens=10, whole_context=whole)], quiet)[0].truncated_tokens for whole in (True, False)]
    assert cuts == [0, 951 - 90]
    assert [len(request.ids) for request in engine.asked] == [951, 90]


@pytest.mark.parametrize(
    ("start", "text", "ids"),
    [
        ("document", "ab", [DOCUMENT, 97, 98]),
        ("tokenizer", "ab", [OWN, 97, 98]),
        ("nothing", "ab", [97, 98]),
        ("document", "", [DOCUMENT]),
        ("tokenizer", "", [OWN]),
        ("nothing", "", [DOCUMENT]),
    ],
)
def test_what_stands_before_a_text(start: Start, text: str, ids: list[int]) -> None:
    engine = Recording()
    backend(engine).write([Ask(text, max_tokens=5, start=start)], quiet)
    assert engine.asked[0].ids == ids


@pytest.mark.parametrize(
    ("start", "ids", "cut"), [("document", [DOCUMENT, *range(102, 107)], 5), ("tokenizer", [*range(101, 107)], 5), ("nothing", [*range(101, 107)], 4)]
)
def test_what_is_too_long_is_cut_from_the_left(start: Start, ids: list[int], cut: int) -> None:
    """lm-eval cuts BOS with the rest; the token that begins a document stays."""
    engine = Recording()
    [written] = backend(engine, max_tokens=10).write([Ask("abcdefghij", max_tokens=4, start=start)], quiet)
    assert engine.asked[0].ids == ids
    assert engine.asked[0].max_tokens == 4
    assert written.truncated_tokens == cut


@pytest.mark.parametrize(
    ("profile", "first"),
    [
        ("jp-adapt", DOCUMENT),
        ("lm-eval-ja", OWN),
        ("stability-0.2.1", None),
        ("stability-0.3", None),
        ("stability-0.6", None),
        ("swallow", None),
        ("flexeval", None),
        ("llm-jp-eval-1.1", None),
        ("llm-jp-eval-1.3", None),
    ],
)
def test_each_profile_puts_before_a_text_what_its_owner_does(benchmark_data: Path, profile: str, first: int | None) -> None:
    assert profile in PROFILES
    loaded = load_benchmark("ja/jsquad", benchmark_data)
    protocol, prompts = build_prompts(loaded, profile, limit=1)
    engine = Recording()
    run_benchmark(loaded, protocol, prompts, backend(engine), PROFILES[profile], quiet)
    assert engine.asked[0].ids[:2] == ([] if first is None else [first]) + [ord(letter) % 800 for letter in prompts[0].text][: 2 if first is None else 1]


@pytest.mark.parametrize(
    ("boundary", "empty", "ids"),
    [("safe", False, [DOCUMENT, 112, 97]), ("cut", False, [OWN, 112, 97]), ("apart", False, [112, 97]), ("cut", True, [BOS, 97]), ("apart", True, [EOS, 97])],
)
def test_what_stands_before_a_choice(boundary: str, empty: bool, ids: list[int]) -> None:
    engine = Recording()
    backend(engine).choose(["" if empty else "p"], [["a", "b"]], boundary, quiet)  # type: ignore[arg-type]
    assert engine.scored[0].ids == ids


def test_before_an_empty_prompt_stands_what_there_is() -> None:
    assert [Starts(1, (), None, 3).before_empty("cut"), Starts(1, (), 2, None).before_empty("apart"), Starts(1).before_empty("cut")] == [3, 2, 1]


def test_a_conversation_is_whole_as_its_template_says(benchmark_data: Path) -> None:
    loaded = load_benchmark("ja/japanese-mt-bench", benchmark_data)
    protocol, prompts = build_prompts(loaded, "jp-adapt", limit=1)
    engine = Recording()
    run_benchmark(loaded, protocol, prompts, backend(engine), PROFILES["jp-adapt"], quiet)
    assert [entry.ids[:3] for entry in engine.asked] == [[ord(letter) for letter in "<s>"]] * 2


def test_asking_an_endpoint_needs_no_torch():
    """`eval --endpoint` begins without the seconds that torch takes to load."""
    code = "import sys, jp_adapt.commands.evaluate, jp_adapt.inference.endpoint_backend; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
