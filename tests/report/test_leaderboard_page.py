"""The page of a leaderboard: every model's score beside the first's, marks for what differs, and names that are text and no markup."""

from __future__ import annotations

from jp_adapt.evaluation.leaderboard import BoardRow, Leaderboard, Standing
from jp_adapt.report.leaderboard_page import leaderboard_page

HOSTILE = "<script>alert(1)</script>"


def board() -> Leaderboard:
    standings = [
        Standing("base", 0.5, (0.4, 0.6)),
        Standing(HOSTILE, 0.75, (0.6, 0.8), 0.25, (0.1, 0.3), 0.01, "better", f"{HOSTILE} is better than base by 25.0 points (p = 0.010)"),
    ]
    alone = BoardRow("chat", "ja/mgsm-ja", "ja/mgsm-ja@jp-adapt/4-shot/exact_match", "exact_match", 250, None, [Standing("base", None, None)])
    return Leaderboard(
        ["base", HOSTILE],
        1,
        0.05,
        [BoardRow("core", "ja/jnli", "ja/jnli@jp-adapt/3-shot/balanced_accuracy", "balanced_accuracy", 200, 1 / 3, standings), alone],
        [(HOSTILE, "chat")],
    )


def test_scores_marks_and_links_are_shown() -> None:
    page = leaderboard_page(board(), {("base", "core"): "base/core/index.html", (HOSTILE, "core"): "a b/core/index.html"})
    assert "<strong>▲ 0.7500</strong><small>0.600 to 0.800</small>" in page, "the highest score, better than the first model's"
    assert '<td class="n">0.5000<small>0.400 to 0.600</small></td>' in page
    assert '<a href="a%20b/core/index.html">' in page
    assert "1 test, p values by Holm over all of them" in page
    assert page.count("<caption") == 2
    assert "p = 0.010" in page


def test_names_are_text() -> None:
    page = leaderboard_page(board(), {})
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; on chat" in page, "what is not measured yet is named"
