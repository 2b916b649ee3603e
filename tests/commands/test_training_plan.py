"""What a stage that grows reads: each phase in its own tokens, and no document before all others were read."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest

from jp_adapt.commands.training_plan import growing_plan, training_plan
from jp_adapt.core.errors import UsageError
from jp_adapt.corpus.pack import IGNORED
from jp_adapt.recipe.load import load_recipe
from jp_adapt.recipe.schema import PretrainStage, Recipe
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.tokenizer.save import save_tokenizer
from tests.conftest import documents
from tests.recipes import write_small_recipe

FIRST, PREFIX, END, TOKENS = 500, 0, 0, 9000


@pytest.fixture(scope="module")
def extended(pico: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tokenizer of the small model with 40 new tokens."""
    base, folder = load_tokenizer(pico), tmp_path_factory.mktemp("extended")
    save_tokenizer(base, extend_tokenizer(base.tokenizer, documents("ja_train.jsonl")[:30], 40), pico, folder)
    return folder


def stage_of(pico: Path, folder: Path, grow: str) -> tuple[PretrainStage, Recipe]:
    settings = [f"stages.cpt.{setting}" for setting in ("start=tok", f"grow={grow}", f"budget.tokens={TOKENS}")]
    recipe = load_recipe(write_small_recipe(folder, pico), ["stages.tok.new_tokens=auto", *settings]).recipe
    stage = next(stage for stage in recipe.stages if isinstance(stage, PretrainStage))
    return stage, recipe


def test_each_phase_goes_on_where_the_one_before_it_stopped(pico: Path, extended: Path, tmp_path: Path) -> None:
    stage, recipe = stage_of(pico, tmp_path, "[5, {new_tokens: 20, share: 2}, all]")
    plan, phases = growing_plan(stage, recipe, extended, prefix=PREFIX, end=END)
    assert [phase.rows for phase in phases] == [5, 20, 40]
    whole, density = training_plan(stage, recipe, extended, prefix=PREFIX, end=END)
    assert phases[-1].chars_per_token == density
    assert phases[0].chars_per_token < phases[1].chars_per_token < density
    text = documents("ja_train.jsonl")[0]
    for part, phase in zip(plan.phases, phases, strict=True):
        targets = [target for step in range(part.num_steps) for row in part.batch(step).targets for target in row if target != IGNORED]
        assert FIRST + phase.rows > max(targets) >= FIRST
        assert phase.tokenizer.decode(phase.tokenizer.encode(text, add_special_tokens=False).ids) == text
    japanese = [document for part in plan.phases for source, document in zip(part.source_of, part.document_of, strict=True) if source == 0]
    japanese = [document for document, _ in groupby(japanese)]  # a phase may end inside a document, and the next one reads on there
    assert len(set(japanese[:30])) == min(30, len(japanese)) > 5, "every document once, before any comes again"
    shares = [sum(part.tokens_by_source.values()) / TOKENS for part in plan.phases]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=2 * stage.sequence_tokens / TOKENS), "to a row of each source"
    assert whole.num_steps <= plan.num_steps


@pytest.mark.parametrize(("grow", "said"), [("[5, 40, all]", r"\[5, 40, all\], and the tokenizer has 40"), ("[5, 41, all]", "the extension has 40")])
def test_a_phase_has_fewer_tokens_than_the_tokenizer(pico: Path, extended: Path, tmp_path: Path, grow: str, said: str) -> None:
    stage, recipe = stage_of(pico, tmp_path, grow)
    with pytest.raises(UsageError, match=said):
        growing_plan(stage, recipe, extended, prefix=PREFIX, end=END)
