"""Mix sources by shares of tokens: which documents a training stage reads, in which order, as a pure function of (shares, budget, seed)."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jp_adapt.core.errors import InputError
from jp_adapt.corpus.pack import Documents, Numbers, Plan, pack_best_fit

MAX_EPOCHS = 100_000  # of a source: each is a round of its own, and a mistyped budget would plan without end
LEAST = 1e-6  # of a token: what a share misses by less has been rounded away


def temperature_shares(tokens: Mapping[str, int], temperature: float) -> dict[str, float]:
    """Shares in proportion to tokens ** (1 / temperature): 1 takes the sources as they are, a larger one brings them closer (Conneau et al. 1911.02116)."""
    scaled = {name: number ** (1 / temperature) for name, number in tokens.items()}
    total = sum(scaled.values())
    return {name: number / total for name, number in scaled.items()}


def share_out(tokens: float, weights: Mapping[str, float], most: Mapping[str, float]) -> dict[str, float]:
    """Divide `tokens` among the sources by weight, none above its `most`; what one source cannot give, the others give by their weights.

    Raises:
        InputError: all sources together may not give that many.
    """
    if tokens > sum(most.get(name, float("inf")) for name in weights):
        available = sum(most[name] for name in weights)
        raise InputError(
            f"the mixture is asked for {tokens:,.0f} tokens and may give {available:,.0f} with its max_epochs; raise them, or ask for fewer tokens"
        )
    wanted: dict[str, float] = {}
    while open_weights := {name: weight for name, weight in weights.items() if name not in wanted}:
        left, total = tokens - sum(wanted.values()), sum(open_weights.values())
        over = {name: most[name] for name, weight in open_weights.items() if left * weight / total > most.get(name, float("inf"))}
        wanted |= over or {name: left * weight / total for name, weight in open_weights.items()}
    return {name: wanted[name] for name in weights}


@dataclass(frozen=True, eq=False)
class Chosen:
    """Documents in reading order, source by source, and how much that is of each source.

    Attributes:
        source_of, document_of: [N] the number of the source, and of the document there.
        first_of, tokens_of: [N] the first token that is read of it, and how many.
        place: source -> where reading stopped: 3.25 is behind a quarter of the fourth document of its order.
    """

    source_of: Numbers
    document_of: Numbers
    first_of: Numbers
    tokens_of: Numbers
    tokens_by_source: dict[str, int]
    epochs_by_source: dict[str, float]
    place: dict[str, float]


def choose_documents(
    sizes: Mapping[str, Numbers],
    wanted: Mapping[str, float],
    seed: int,
    *,
    length: int,
    most: Mapping[str, float] | None = None,
    begin: Mapping[str, float] | None = None,
) -> Chosen:
    """Documents of each source until `wanted` tokens of it are reached, from the place `begin` on.

    Each source is read in a shuffled order of its own, again and again, every document once in each epoch. The last one is read as far as the rows of
    `length` tokens that it is cut into are needed: the budget of a source is passed by less than a row, however long its documents are, and `most` is not
    passed at all.
    """
    sources, documents, firsts, counts = [], [], [], []
    tokens, epochs, place = {}, {}, {}
    for number, (name, size) in enumerate(sizes.items()):
        whole = int(size.sum())
        if not whole:
            raise InputError(f"source '{name}': no document of it has a token; the tokenizer drops every character of it")
        at = (begin or {}).get(name, 0.0)
        if wanted[name] > MAX_EPOCHS * whole:
            raise InputError(
                f"source '{name}' has {whole:,} tokens, and the budget would read it {wanted[name] / whole:,.0f} times; at most {MAX_EPOCHS:,} are planned: "
                "ask for fewer tokens, or give more text"
            )
        limit = math.floor((most or {}).get(name, wanted[name] + length))
        enough = min(wanted[name] - LEAST, limit)
        place[name] = at
        taken, (epoch, passed), share = 0, divmod(int(at), len(size)), at % 1
        while taken < enough:
            shuffled = list(range(len(size)))
            random.Random(f"{seed}/{name}/{epoch}").shuffle(shuffled)
            order = np.asarray(shuffled[passed:], dtype=np.int64)
            first, of_each = np.zeros(len(order), dtype=np.int64), size[order]
            first[0] = round(share * int(of_each[0]))
            of_each = of_each - first
            num_read = int(np.searchsorted(np.cumsum(of_each), enough - taken)) + 1
            order, first, of_each = order[:num_read], first[:num_read], of_each[:num_read]
            before = taken + int(of_each[:-1].sum())
            of_each[-1] = min(int(of_each[-1]), math.ceil((enough - before) / length) * length, limit - before)
            taken = before + int(of_each[-1])
            sources.append(np.full(len(order), number, dtype=np.int64))
            documents.append(order)
            firsts.append(first)
            counts.append(of_each)
            end, whole_of_last = int(first[-1] + of_each[-1]), int(size[order[-1]])
            place[name] = epoch * len(size) + passed + len(order) - 1 + (end / whole_of_last if end < whole_of_last else 1.0)
            epoch, passed, share = epoch + 1, 0, 0.0
        tokens[name], epochs[name] = taken, taken / whole
    source_of, document_of, first_of, tokens_of = (np.concatenate([np.zeros(0, dtype=np.int64), *parts]) for parts in (sources, documents, firsts, counts))
    return Chosen(source_of, document_of, first_of, tokens_of, tokens, epochs, place)


def plan_training(
    sources: Mapping[str, tuple[Documents, float]],
    *,
    prefix: int,
    length: int,
    rows_per_step: int,
    seed: int,
    tokens: int | None = None,
    epochs: float | None = None,
    max_epochs: Mapping[str, float] | None = None,
    begin: Mapping[str, float] | None = None,
) -> Plan:
    """Choose documents by weight until the budget is met, and pack them. Nothing but the arguments decides, so every resume and every rank sees one order.

    Args:
        sources: name -> (documents as ids, weight). Weights are shares of tokens.
        prefix: id that stands before every document.
        tokens: training tokens in all; or `epochs` of the first source, the others in proportion.
        max_epochs: name -> the most that a source is read; what it cannot give the others give, by their weights.
        begin: name -> where in its documents to begin, which is the `place` of an earlier plan; of an encoding in other tokens about there.

    Raises:
        InputError: a source has no token, or the sources may not give so many.
    """
    documents = {name: source for name, (source, _) in sources.items()}
    weights = {name: weight for name, (_, weight) in sources.items()}
    sizes = {name: token_counts(source) for name, source in documents.items()}
    if tokens is None:
        assert epochs is not None, "give tokens or epochs"
        first = next(iter(sources))
        budget = max(1.0, epochs * int(sizes[first].sum()) * sum(weights.values()) / weights[first])
    else:
        budget = float(tokens)
    most = {name: limit * int(sizes[name].sum()) for name, limit in (max_epochs or {}).items()}
    chosen = choose_documents(sizes, share_out(budget, weights, most), seed, length=length, most=most, begin=begin)
    packing = pack_best_fit(chosen.tokens_of, length)
    packing = replace(packing, offset=packing.offset + chosen.first_of[packing.document])
    order = list(range(packing.num_rows))
    random.Random(f"{seed}/rows").shuffle(order)
    packing = packing.shuffled(order)
    return Plan(documents, chosen.source_of, chosen.document_of, packing, prefix, rows_per_step, chosen.tokens_by_source, chosen.epochs_by_source, chosen.place)


def token_counts(documents: Documents) -> Numbers:
    """[documents] the number of tokens of each; shards know it without reading the tokens."""
    known: Any = getattr(documents, "sizes", None)
    if known is not None:
        return np.asarray(known, dtype=np.int64)
    return np.fromiter((len(documents[index]) for index in range(len(documents))), np.int64, len(documents))
