"""Rows of embedding and head of several models, brought into one order by what their tokens say. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from jp_adapt.core.errors import InputError

RowPolicy = Literal["donor", "pieces"]
Spell = Callable[[str, str], list[int]]  # (model, token) -> ids of the tokens by which the model's own tokenizer spells it
LACKING = -1
MIN_SHARED = 0.5  # of a model's tokens that the chosen tokenizer must hold


@dataclass(frozen=True)
class Vocabulary:
    """Token -> id, the family of tokenizers that says what a token's text means, and how many rows the model has for it."""

    tokens: Mapping[str, int]
    family: str
    rows: int

    @cached_property
    def with_rows(self) -> dict[str, int]:
        """The tokens that have a row; some models name tokens behind their last one."""
        return {token: token_id for token, token_id in self.tokens.items() if token_id < self.rows}

    @cached_property
    def names(self) -> list[str | int]:
        """What each row stands for: a token, or, in rows that pad the matrix, only its number."""
        by_id = {token_id: token for token, token_id in self.with_rows.items()}
        return [by_id.get(row, row) for row in range(self.rows)]

    @cached_property
    def row_of(self) -> dict[str | int, int]:
        return {name: row for row, name in enumerate(self.names)}


@dataclass(frozen=True)
class Fill:
    """How a model that lacks a row gets one: from the base, as the mean of other models' rows, or as the mean of its own rows `pieces`."""

    base: str | None = None
    donors: tuple[str, ...] = ()
    pieces: tuple[int, ...] = ()

    def said(self) -> str:
        if self.pieces:
            return "own pieces " + " ".join(map(str, self.pieces))
        return f"base {self.base}" if self.base else "donor " + " ".join(self.donors)


@dataclass(frozen=True)
class Alignment:
    """The rows of each model in the order of one vocabulary.

    Attributes:
        output: the model whose tokenizer, and order of rows, the merged model has.
        rows: model -> for each row of the output its own row, or `LACKING`.
        fills: model -> row of the output that it lacks -> what it gets there.
        dropped: model -> tokens that it has and the output lacks.
    """

    output: str
    names: list[str | int]
    rows: dict[str, list[int]]
    fills: dict[str, dict[int, Fill]]
    dropped: dict[str, list[str]]

    def in_order(self, model: str) -> bool:
        """Whether the model's rows are those of the output as they are."""
        return self.rows[model] == list(range(len(self.names)))

    def records(self) -> Iterator[dict[str, Any]]:
        """For each row that some model lacks: id, token, and where each model's row comes from."""
        for row in sorted({row for fills in self.fills.values() for row in fills}):
            sources = {model: fills[row].said() if row in fills else f"own {self.rows[model][row]}" for model, fills in self.fills.items()}
            yield {"id": row, "token": self.names[row] if isinstance(self.names[row], str) else None, "rows": sources}


def align(
    vocabularies: Mapping[str, Vocabulary], *, base: str | None = None, output: str | None = None, policy: RowPolicy = "donor", spell: Spell | None = None
) -> Alignment:
    """Bring the rows of all models into the order of one of their tokenizers; the same token is the same row, whatever its ids.

    Args:
        base: the model that the others differ from. What it has and another model lacks, the other one takes from it.
        output: the model whose tokenizer is kept; by default one that holds the tokens of all.
        policy: what a model gets for a row that neither it nor the base has: "donor" the (mean) row of the models that have it, "pieces" the mean of its
            own rows of the pieces by which its tokenizer spells the token.

    Raises:
        InputError: the families differ, no tokenizer holds the tokens of all and none is chosen, or the chosen one holds too few of another's.
    """
    _same_family(vocabularies)
    kept = output if output is not None else _largest(vocabularies, base)
    names = vocabularies[kept].names
    rows = {model: [vocabulary.row_of.get(name, LACKING) for name in names] for model, vocabulary in vocabularies.items()}
    dropped = {model: [token for token in vocabulary.with_rows if token not in vocabularies[kept].with_rows] for model, vocabulary in vocabularies.items()}
    for model, tokens in dropped.items():
        if len(tokens) > (1 - MIN_SHARED) * len(vocabularies[model].with_rows):
            raise InputError(
                f"of {len(vocabularies[model].with_rows):,} tokens of '{model}' the tokenizer of '{kept}' lacks {len(tokens):,}, "
                f"{tokens[0]!r} for example; these are two vocabularies, and merging their rows would give neither"
            )
    fills: dict[str, dict[int, Fill]] = {model: {} for model in vocabularies}
    for row, name in enumerate(names):
        owners = tuple(model for model in vocabularies if rows[model][row] != LACKING)
        for model in vocabularies if len(owners) < len(vocabularies) else ():
            if model not in owners:
                fills[model][row] = _fill(model, name, owners, base, policy, spell)
    return Alignment(kept, names, rows, fills, dropped)


def _fill(model: str, name: str | int, owners: tuple[str, ...], base: str | None, policy: RowPolicy, spell: Spell | None) -> Fill:
    if base in owners:
        return Fill(base=base)
    if policy == "pieces" and spell is not None and isinstance(name, str) and (pieces := spell(model, name)):
        return Fill(pieces=tuple(pieces))
    return Fill(donors=owners)


def _same_family(vocabularies: Mapping[str, Vocabulary]) -> None:
    (first, known), *others = vocabularies.items()
    for model, vocabulary in others:
        if vocabulary.family != known.family:
            raise InputError(
                f"'{first}' has a {known.family} tokenizer and '{model}' a {vocabulary.family} one: the same text is another token in each, "
                "so their rows cannot be merged; take models of one base"
            )


def _largest(vocabularies: Mapping[str, Vocabulary], base: str | None) -> str:
    """A model whose tokenizer holds the tokens of all: the base where it is one of several, else the first."""
    holding = [
        model for model, vocabulary in vocabularies.items() if all(other.with_rows.keys() <= vocabulary.with_rows.keys() for other in vocabularies.values())
    ]
    if not holding:
        widest = max(vocabularies, key=lambda model: len(vocabularies[model].with_rows))
        lacks = {model: [token for token in vocabulary.with_rows if token not in vocabularies[widest].with_rows] for model, vocabulary in vocabularies.items()}
        given = "; ".join(f"'{widest}' lacks {len(tokens):,} tokens of '{model}', {tokens[0]!r} for example" for model, tokens in lacks.items() if tokens)
        raise InputError(
            f"no tokenizer holds the tokens of all models: {given}. A tokenizer that joins them would cut text otherwise than either model has learned. "
            f"To keep one of them, and drop what it lacks, say so: tokenizer: {widest}"
        )
    rows = max(vocabularies[model].rows for model in holding)
    widest_of = [model for model in holding if vocabularies[model].rows == rows]
    return base if base is not None and base in widest_of else widest_of[0]
