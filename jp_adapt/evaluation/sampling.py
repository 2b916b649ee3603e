"""Which items a limited evaluation measures: a sample with a seed, in which every category and every right label has its share."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from jp_adapt.benchmarks.items import Item


def draw_items(items: Sequence[Item], limit: int, seed: int, *, equal_groups: bool = False) -> list[Item]:
    """`limit` of the items, or all where there are no more, in their order.

    Which ones depends on the seed and on the ids of the items alone, so that every model is asked the same, on any machine. Groups and right labels are
    drawn in the shares that they have among all items; with `equal_groups` every group gives the same number, so that a mean over groups stays one.
    """
    if limit >= len(items):
        return list(items)
    if not equal_groups:
        chosen = _stratified(items, limit, seed)
    else:
        groups: dict[str, list[Item]] = {}
        for item in items:
            groups.setdefault(item.group, []).append(item)
        share = max(1, limit // len(groups))
        chosen = {item_id for members in groups.values() for item_id in _stratified(members, min(share, len(members)), seed)}
    return [item for item in items if item.id in chosen]


def _stratified(items: Sequence[Item], count: int, seed: int) -> set[str]:
    """Ids of `count` items, the strata in their shares (largest remainders), within a stratum by the hash of seed and id."""
    shared = all(item.choices == items[0].choices for item in items)
    strata: dict[tuple[str, str | int | None], list[Item]] = {}
    for item in items:
        label = item.choices[item.answer] if shared and item.answer is not None else item.answer
        strata.setdefault((item.group, label), []).append(item)
    exact = {stratum: count * len(members) / len(items) for stratum, members in strata.items()}
    numbers = {stratum: math.floor(share) for stratum, share in exact.items()}
    by_remainder = sorted(strata, key=lambda stratum: numbers[stratum] - exact[stratum])  # a stable sort: ties by the order in which strata occur
    for stratum in by_remainder[: count - sum(numbers.values())]:
        numbers[stratum] += 1
    return {item.id for stratum, members in strata.items() for item in sorted(members, key=lambda item: _rank(seed, item.id))[: numbers[stratum]]}


def _rank(seed: int, item_id: str) -> str:
    return hashlib.sha256(f"{seed}/{item_id}".encode("utf-8", "surrogatepass")).hexdigest()
