"""Which items a limited evaluation measures: a sample with a seed, in which every category and every right label has its share."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

from jp_adapt.benchmarks.items import Item


def draw_items(items: Sequence[Item], limit: int, seed: int, *, equal_groups: bool = False) -> list[Item]:
    """`limit` of the items, or all where there are no more, in their order.

    Which ones depends on the seed and on the ids of the items alone, so that every model is asked the same, on any machine. Groups and right labels are
    drawn in the shares that they have among all items; with `equal_groups` every group gives the same number, so that a mean over groups stays one.
    """
    if limit >= len(items):
        return list(items)
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    order = sorted(groups, key=lambda group: _rank(seed, f"group {group}"))
    if equal_groups:
        share = max(1, limit // len(groups))
        numbers = {group: min(share, len(groups[group])) for group in order}
        exact = {group: float(number) for group, number in numbers.items()}
    else:
        numbers = _group_numbers(groups, order, limit, seed)
        exact = {group: limit * len(groups[group]) / len(items) for group in order}
    chosen = _chosen([(groups[group], numbers[group], exact[group]) for group in order], all(item.choices == items[0].choices for item in items), seed)
    return [item for item in items if item.id in chosen]


def _group_numbers(groups: Mapping[str, Sequence[Item]], order: Sequence[str], limit: int, seed: int) -> dict[str, int]:
    """How many items each group gives: its share rounded up or down, up as often as the share says (systematic sampling from a start drawn by the seed)."""
    total, reached, numbers = sum(map(len, groups.values())), 0, {}
    start = int(_rank(seed, "start"), 16) % total
    for group in order:
        before, reached = reached, reached + limit * len(groups[group])
        numbers[group] = (reached + start) // total - (before + start) // total
    return numbers


def _chosen(groups: Sequence[tuple[Sequence[Item], int, float]], shared: bool, seed: int) -> set[str]:
    """Ids of the items that groups (their items, how many they give, and their exact share) give, within group and label by the hash of seed and id.

    Each label of a group gets its share rounded up or down. What was rounded is carried to the next group, so that labels have their shares over the whole
    sample, too: with one item a group, each group's most common label would be drawn every time.
    """
    chosen: set[str] = set()
    carried: dict[str | int | None, float] = {}
    for members, number, exact in groups:
        labels: dict[str | int | None, list[Item]] = {}
        for item in members:
            labels.setdefault(item.choices[item.answer] if shared and item.answer is not None else item.answer, []).append(item)
        shares = {label: exact * len(own) / len(members) for label, own in labels.items()}
        numbers = {label: math.floor(share) for label, share in shares.items()}
        due = {label: shares[label] - numbers[label] + carried.get(label, 0.0) for label in labels}
        broken = [label for label in labels if shares[label] > numbers[label]]
        rounded = sorted(broken, key=lambda label: (-round(due[label], 9), _rank(seed, f"label {label}")))
        for label in rounded[: number - sum(numbers.values())]:
            numbers[label] += 1
            due[label] -= 1
        carried |= due
        for label, own in labels.items():
            chosen.update(item.id for item in sorted(own, key=lambda item: _rank(seed, item.id))[: numbers[label]])
    return chosen


def _rank(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogatepass")).hexdigest()
