"""Which examples stand before an item. The random rules repeat those of the peers, draw by draw."""

from __future__ import annotations

import random
from collections.abc import Sequence

from jp_adapt.benchmarks.items import Item
from jp_adapt.benchmarks.profiles import ShotRule
from jp_adapt.core.errors import InputError

HARNESS_SEED = 42  # EleutherAI's harness 0.3 and its forks: one generator shuffles the items, then draws the examples of each
LM_EVAL_SEED = 1234  # lm-eval 0.4: one generator draws the examples of each item in order


def with_shots(items: Sequence[Item], pool: Sequence[Item], count: int, rule: ShotRule, *, by_group: bool = False) -> list[tuple[Item, list[Item]]]:
    """All items, each with its `count` examples, in the order in which the rule takes them.

    InputError where the pool has too few examples.
    """
    if rule == "harness":
        generator = random.Random(HARNESS_SEED)
        order = list(items)
        generator.shuffle(order)
        return [(item, _drawn(generator, pool, count)) for item in order]
    if rule == "lm-eval":
        generator = random.Random(LM_EVAL_SEED)
        return [(item, _drawn(generator, pool, count)) for item in items]
    fixed: dict[str, list[Item]] = {}
    chosen = []
    for item in items:
        group = item.group if by_group else ""
        if group not in fixed:  # one more than needed, for the item that is itself among the examples
            members = [entry for entry in pool if not by_group or entry.group == group]
            fixed[group] = balanced(members, count + 1) if rule == "balanced" else members[: count + 1]
        examples = [entry for entry in fixed[group] if not _same(entry, item)][:count]
        if len(examples) < count:
            raise InputError(f"{count} examples are asked for, and there are {len(examples)}" + (f" in group '{group}'" if group else ""))
        chosen.append((item, examples))
    return chosen


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
    if count > len(pool):
        raise InputError(f"{count} examples are asked for, and there are {len(pool)}")
    return generator.sample(list(pool), count) if count else []


def _same(left: Item, right: Item) -> bool:
    """Whether two items are the same record of the same file."""
    keys = ("_file", "_line", "_index")
    return left.id == right.id and all(left.fields[key] == right.fields[key] for key in keys)
