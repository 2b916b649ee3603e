"""What a pretraining stage reads: its sources tokenized, mixed and packed into steps; where its vocabulary grows, with a tokenizer for each phase."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from jp_adapt.commands.prepared import is_prepared, open_prepared
from jp_adapt.commands.source_parts import read_texts, refuse_prepared
from jp_adapt.core.errors import UsageError
from jp_adapt.core.files import write_json
from jp_adapt.core.hashes import sha256_file
from jp_adapt.corpus.mixture import plan_training
from jp_adapt.corpus.pack import Documents, Plan, with_end
from jp_adapt.corpus.phases import PhasedPlan
from jp_adapt.recipe.schema import PretrainStage, Recipe, RowsStage
from jp_adapt.recipe.training_parts import Phase
from jp_adapt.tokenizer.encoder import encoder, plain_tokenizer
from jp_adapt.tokenizer.load import SPEC, load_tokenizer
from jp_adapt.tokenizer.prefix import base_of, read_record, shorten
from jp_adapt.tokenizer.verify import check_criteria, verify_tokenizer

Encode = Callable[[str], list[int]]
Sources = dict[str, tuple[Documents, float]]
CHECKED_TEXTS = 200  # of the training text, by which the tokenizer of a phase is checked again


def training_plan(stage: RowsStage | PretrainStage, recipe: Recipe, tokenizer_folder: Path, *, prefix: int, end: int) -> tuple[Plan, float]:
    """The plan of a stage, and characters per token of its first source (to turn losses into bits per character); the end of a document is a token of it."""
    encode = encoder(plain_tokenizer(tokenizer_folder))
    sources: Sources = {}
    max_epochs: dict[str, float] = {}
    chars_per_token = 0.0
    for item in stage.data:
        source = recipe.sources[item.source]
        if is_prepared(Path(source.path)):
            refuse_prepared(source)
            prepared = open_prepared(Path(source.path), item.source, item.weight, sha256_file(tokenizer_folder / "tokenizer.json"), end)
            sources |= prepared.sources
            max_epochs |= prepared.max_epochs
            chars_per_token = chars_per_token or prepared.chars_per_token
            continue
        sources[item.source], density = _tokenized(read_texts(source, "training"), item.weight, encode, end)
        chars_per_token = chars_per_token or density
    return _plan(stage, recipe, sources, prefix, max_epochs=max_epochs), chars_per_token


@dataclass(frozen=True)
class TokenizedPhase:
    """A phase of a stage that grows: its tokenizer, how many new rows of the model that uses, and characters per token of the first source."""

    tokenizer: Tokenizer
    rows: int
    chars_per_token: float


def growing_plan(stage: PretrainStage, recipe: Recipe, tokenizer_folder: Path, *, prefix: int, end: int) -> tuple[PhasedPlan, list[TokenizedPhase]]:
    """The plan of a stage whose vocabulary grows. Each phase goes on in the documents where the one before it stopped, with a longer tokenizer.

    Args:
        tokenizer_folder: the whole extension, whose first tokens make the tokenizers of the phases; each is checked on a part of the text.

    Raises:
        UsageError: a phase has more tokens than the extension, or the last one fewer. GateError: its first tokens are no whole tokenizer.
    """
    assert stage.grow is not None
    texts = {item.source: read_texts(recipe.sources[item.source], "training") for item in stage.data}
    checked = [text for source in texts.values() for text in source[: CHECKED_TEXTS // len(texts)]]
    place: dict[str, float] = {}
    plans, phases = [], []
    for phase, (tokenizer, rows) in zip(stage.grow, _phase_tokenizers(stage, stage.grow, tokenizer_folder, checked), strict=True):
        tokenized = {item.source: _tokenized(texts[item.source], item.weight, encoder(tokenizer), end) for item in stage.data}
        share = phase.share / sum(other.share for other in stage.grow)
        plan = _plan(stage, recipe, {name: source for name, (source, _) in tokenized.items()}, prefix, share=share, begin=place)
        place = plan.place
        plans.append(plan)
        phases.append(TokenizedPhase(tokenizer, rows, tokenized[stage.data[0].source][1]))
    return PhasedPlan(plans), phases


def _tokenized(texts: Sequence[str], weight: float, encode: Encode, end: int) -> tuple[tuple[Documents, float], float]:
    """Texts as a source of a plan, and their characters per token."""
    documents = [np.asarray(with_end(encode(text), end), dtype=np.uint32) for text in texts]
    return (documents, weight), sum(map(len, texts)) / max(1, sum(map(len, documents)))


def _plan(
    stage: RowsStage | PretrainStage,
    recipe: Recipe,
    sources: Sources,
    prefix: int,
    *,
    share: float = 1.0,
    max_epochs: Mapping[str, float] | None = None,
    begin: Mapping[str, float] | None = None,
) -> Plan:
    """`share` of the budget of a stage, from the place `begin` on."""
    budget = stage.budget
    return plan_training(
        sources,
        prefix=prefix,
        length=stage.sequence_tokens,
        rows_per_step=max(1, stage.batch_tokens // stage.sequence_tokens),
        seed=recipe.seed,
        tokens=None if budget.tokens is None else max(1, round(budget.tokens * share)),
        epochs=None if budget.epochs is None else budget.epochs * share,
        max_epochs=max_epochs,
        begin=begin,
    )


def _phase_tokenizers(stage: PretrainStage, phases: Sequence[Phase], folder: Path, texts: Sequence[str]) -> list[tuple[Tokenizer, int]]:
    """The tokenizer of each phase, and how many new rows it uses: bytes that the base lacked are in all of them, beside what is asked for."""
    longer, record = load_tokenizer(folder), read_record(folder)
    base = base_of(longer, int(record["first_new_id"]))
    whole, others = len(record["tokens"]), len(base.tokenizer.missing_bytes)
    results = []
    for phase in phases[:-1]:
        assert phase.new_tokens != "all"
        extension = shorten(base.tokenizer, record, phase.new_tokens)
        check_criteria(verify_tokenizer(base, extension.tokenizer, japanese=texts))
        with tempfile.TemporaryDirectory() as place:
            write_json(Path(place) / SPEC, extension.tokenizer.spec)
            results.append((plain_tokenizer(Path(place)), len(extension.tokens)))
    sizes = [phase.new_tokens for phase in phases]
    if sizes[-1] not in ("all", whole - others) or sizes[-2] == whole - others:
        said = ", ".join(map(str, sizes))
        raise UsageError(f"stage '{stage.id}': grow is [{said}], and the tokenizer has {whole - others:,} new tokens; end with all, behind fewer than that")
    return [*results, (plain_tokenizer(folder), whole)]
