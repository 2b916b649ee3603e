"""Texts that are nearly the same: nothing of either is lost, and what they share is found."""

from __future__ import annotations

import random

from jp_adapt.report.differences import differences


def test_what_differs_is_told_from_what_is_shared() -> None:
    left, right = differences("今日は東京で雨が降ります。", "今日は大阪で雪が降ります。終わり")
    assert left == [("今日は", True), ("東京で雨", False), ("が降ります。", True)]
    assert right == [("今日は", True), ("大阪で雪", False), ("が降ります。", True), ("終わり", False)]
    assert differences("同じ文", "同じ文") == ([("同じ文", True)], [("同じ文", True)])
    assert differences("", "あ") == ([], [("あ", False)])


def test_no_character_is_lost() -> None:
    rng = random.Random(0)
    for _ in range(50):
        texts = ["".join(rng.choice("あいうえお。") for _ in range(rng.randrange(60))) for _ in range(2)]
        sides = differences(*texts)
        assert ["".join(piece for piece, _ in side) for side in sides] == texts
        assert [piece for piece, same in sides[0] if same] == [piece for piece, same in sides[1] if same]
