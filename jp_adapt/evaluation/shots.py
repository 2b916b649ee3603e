"""Which examples stand before an item. The random rules repeat those of the peers, draw by draw."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import Any

from jp_adapt.benchmarks.items import Item
from jp_adapt.benchmarks.profiles import ShotRule
from jp_adapt.core.errors import InputError

HARNESS_SEED = 42  # EleutherAI's harness 0.3 and its forks: one generator shuffles the items, then draws the examples of each
LM_EVAL_SEED = 1234  # lm-eval 0.4: one generator draws the examples of each item in order
FLEXEVAL_SEED = 42  # flexeval does the same with another seed


def with_shots(
    items: Sequence[Item], pool: Sequence[Item], count: int, rule: ShotRule, *, by_group: bool = False, stratified: bool = False, same: bool = False
) -> list[tuple[Item, list[Item]]]:
    """All items, each with its `count` examples, in the order in which the rule takes them.

    By our own rule ("balanced") an item is never among its examples, nor one of them there twice, by what they ask. The rules of the peers draw as these do:
    "first", llm-jp-eval's, passes over the very same record alone. `same`: the pool is the items themselves, for lack of others.

    InputError where the pool has too few examples.
    """
    if rule == "harness":
        generator = random.Random(HARNESS_SEED)
        order = list(items)
        generator.shuffle(order)
        if same:
            return [(item, _others(generator, pool, count, item)) for item in order]
        draw = _stratified if stratified else _drawn
        return [(item, draw(generator, pool, count)) for item in order]
    if rule == "flexeval":
        generator = random.Random(FLEXEVAL_SEED)
        draw = _by_label if stratified else _drawn
        return [(item, draw(generator, pool, count)) for item in items]
    if rule == "lm-eval":
        generator = random.Random(LM_EVAL_SEED)
        return [(item, _drawn(generator, pool, count)) for item in items]
    if rule == "pfgen":
        ordered = sorted(pool, key=_pfgen_place)
        return [(item, _enough([entry for entry in ordered if entry.fields["question"] != item.fields["question"]][:count], count)) for item in items]
    fixed: dict[str, list[Item]] = {}
    chosen = []
    key = _asked if rule == "balanced" else _record
    for item in items:
        group = item.group if by_group else ""
        if group not in fixed:  # one more than needed, for the item that is itself among the examples
            members = list({key(entry): entry for entry in reversed(pool) if not by_group or entry.group == group}.values())[::-1]
            fixed[group] = balanced(members, count + 1) if rule == "balanced" else members[: count + 1]
        chosen.append((item, _enough([entry for entry in fixed[group] if key(entry) != key(item)][:count], count, f" in group '{group}'" if group else "")))
    return chosen


def _enough(examples: list[Item], count: int, where: str = "") -> list[Item]:
    if len(examples) < count:
        raise InputError(f"{count} examples are asked for, and there are {len(examples)}{where}")
    return examples


def _pfgen_place(item: Item) -> str:
    """Where pfgen-bench puts an example in its first trial: by the SHA-1 of seed (none), trial and question."""
    return hashlib.sha1(f"::1::{item.fields['question']}".encode(), usedforsecurity=False).hexdigest()


def balanced(pool: Sequence[Item], count: int) -> list[Item]:
    """`count` examples with right answers in equal shares: the labels in turn, each label's examples in the order of the file.

    A label is the right choice's text where all items share their choices (JNLI), its position where they do not (JCommonsenseQA);
    without choices the first examples are taken.
    """
    if not pool or not pool[0].choices:
        return list(pool[:count])
    shared = all(item.choices == pool[0].choices for item in pool[:100])
    queues: dict[str | int | None, list[Item]] = {}
    for item in pool:
        label = item.choices[item.answer] if shared and item.answer is not None else item.answer
        queue = queues.setdefault(label, [])
        if len(queue) < count:
            queue.append(item)
    chosen: list[Item] = []
    turn = 0
    while len(chosen) < count and any(len(queue) > turn for queue in queues.values()):
        chosen += [queue[turn] for queue in queues.values() if len(queue) > turn]
        turn += 1
    return chosen[:count]


def _drawn(generator: random.Random, pool: Sequence[Item], count: int) -> list[Item]:
    return generator.sample(_enough(list(pool), count), count) if count else []


def _stratified(generator: random.Random, pool: Sequence[Item], count: int) -> list[Item]:
    """As the fork's `_stratified_fewshot_examples`: of each label its share, rounded down; the rest goes, one by one, to the label that has fewest."""
    labels: dict[int | None, list[Item]] = {}
    for item in pool:
        labels.setdefault(item.answer, []).append(item)
    numbers = {label: int(len(members) / len(pool) * count) for label, members in labels.items()}
    for _ in range(count - sum(numbers.values())):
        numbers[min(numbers, key=numbers.__getitem__)] += 1
    examples = [entry for label, number in numbers.items() for entry in _drawn(generator, labels[label], number)]
    generator.shuffle(examples)
    return examples


def _by_label(generator: random.Random, pool: Sequence[Item], count: int) -> list[Item]:
    """As flexeval's `BalancedFewShotGenerator`: the labels in a drawn order, of each as many, of the first ones the rest."""
    labels: dict[int | None, list[Item]] = {}
    for item in pool:
        labels.setdefault(item.answer, []).append(item)
    order = list(labels)
    generator.shuffle(order)
    shares = [count // len(order) + (place < count % len(order)) for place in range(len(order))]
    examples = [entry for label, share in zip(order, shares, strict=True) for entry in generator.sample(labels[label], share)]
    generator.shuffle(examples)
    return examples


def _others(generator: random.Random, pool: Sequence[Item], count: int, item: Item) -> list[Item]:
    """As the fork does where a task has no training split: one example more is drawn, and the item itself is passed over."""
    drawn = _drawn(generator, pool, count + 1) if count else []
    return [entry for entry in drawn if _content(entry) != _content(item)][:count]


def _content(item: Item) -> dict[str, Any]:
    """A record without its place."""
    return {key: value for key, value in item.fields.items() if not key.startswith("_")}


def _record(item: Item) -> tuple[Any, ...]:
    """The record of a file that an item is made of."""
    return (item.id, *(item.fields[key] for key in ("_file", "_line", "_index")))


def _asked(item: Item) -> tuple[str, ...]:
    """What tells an item from others: its texts without its answers, number and place. The same question in two files, or twice in one, is one item."""
    texts = [f"{name}={' '.join(value.split())}" for name, value in item.fields.items() if isinstance(value, str) and not _is_label(name)]
    return (*sorted(texts), *item.choices) if texts else (item.id, *item.choices)


def _is_label(name: str) -> bool:
    words = name.lower().strip("_").split("_")
    return name.startswith("_") or words[-1] in ("id", "idx", "index", "qid", "uuid", "answer", "answers", "label", "labels", "output", "target", "gold")
