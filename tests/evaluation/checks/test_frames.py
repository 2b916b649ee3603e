"""What frames an answer, and what only looks like it."""

from __future__ import annotations

import pytest

from jp_adapt.evaluation.checks.frames import is_bare

SUMMARY, TITLE, PROS = ["要約"], ["広告文", "タイトル", "見出し"], ["メリットとデメリット", "メリット・デメリット"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("以下の文章を要約します。\n駅前に図書館が開いた。", SUMMARY),
        ("【要約】\n駅前に図書館が開いた。", SUMMARY),
        ("**要約結果**：駅前に図書館が開いた。", SUMMARY),
        ("駅前に図書館が開いた。\n以上が要約結果になります。", SUMMARY),
        ("駅前に図書館が開いた。（11文字）", SUMMARY),
        ("駅前に図書館が開いた。\n\n文字数：11", SUMMARY),
        ("Here is the summary:\n駅前に図書館が開いた。", SUMMARY),
        ("広告文を作成します。\n秋の新作が勢ぞろい", TITLE),
        ("タイトル：「秋の新作」", TITLE),
        ("秋の新作が勢ぞろい\n\nこのタイトルは、秋を思わせます。", TITLE),
        ("はい、承知しました。\n秋の新作が勢ぞろい", TITLE),
        ("そこで、メリットとデメリットをご紹介いたします。メリットは安いことです。", PROS),
        ("あなたのご質問にお答えいたします。\nメリットは安いことです。", PROS),
        ("メリット：安い\nデメリット：遅い\n以上が夜行バスのメリット・デメリットです。", PROS),
        ("回答：メリットは安いことです。", PROS),
        ("", SUMMARY),
        ("---\n", SUMMARY),
    ],
)
def test_frames_are_seen(text: str, words: list[str]) -> None:
    assert not is_bare(text, words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("駅前に図書館が開いた。初日は長い列ができた。", SUMMARY),
        ("人気小説の要約動画が話題です。", SUMMARY),
        ("「秋の新作」", TITLE),
        ("**秋の新作が勢ぞろい**", TITLE),
        ("秋の新作をご紹介します", TITLE),
        ("メリット：安い\nデメリット：遅い", PROS),
        ("安いというメリットと、遅いというデメリットがあります。", PROS),
        ("夜行バスのメリットとデメリットは表裏一体です。", PROS),
        ("夜行バスは安い。\n以上の点から、学生に向く。", PROS),
    ],
)
def test_what_stands_alone_is_bare(text: str, words: list[str]) -> None:
    assert is_bare(text, words)
