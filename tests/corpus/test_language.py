"""Japanese and Chinese are told apart by the characters that only one of them has, where shares of kana mislead."""

from __future__ import annotations

import gzip
import json

import pytest

from jp_adapt.corpus.language import language_of
from jp_adapt.text.hanzi import SHINJITAI, SIMPLIFIED, TRADITIONAL
from tests.conftest import documents
from tests.data import SHARED, needs_data

CHINESE_WITH_TITLES = [
    "这家餐厅的招牌菜是ラーメン和カレー，味道很好，记得来吃饭。",
    "这家餐厅的招牌菜是ラーメン和カレー，…",
    "我们喜欢看《となりのトトロ》和《君の名は。》。",
    "这款游戏《ファイナルファンタジー》的音乐非常好听，很多玩家都说难忘。",
    "他在日本发行了新专辑《さくらんぼ》，销量达到五十万张。",
    "从东京站坐新干线「のぞみ」到大阪要两个半小时。",
    "《スーパーマリオ》系列的开发团队说明了这次更新的内容。",
    "我們都很喜歡吃ラーメン，這家餐廳的カレー也很有名。",
    "這部電影《もののけ姫》是他導演的，當時觀眾說非常感動。",
    "請問《ドラえもん》的作者是誰？國內還沒有譯本。",
    "這是《鬼滅の刃》的主題曲。",
    "我愛《となりのトトロ》",
    "昨天看了《千と千尋の神隠し》和《もののけ姫》",
    "《ワンピース》漫畫很長",
]
JAPANESE = [
    "持込申請は最悪状態完了",
    "持込申請最悪状態完了",
    "大阪府立図書館利用案内",
    "経済産業省関東経済産業局",
    "検索条件 対象商品 価格帯",
    "RFC 2581: TCP 輻輳制御アルゴリズム。",
    "曖昧マップ",
    "中国語の「这」は「これ」の意味で、「们」は複数を表します。",
    "「你好」は「こんにちは」です。",
    "鄧小平と習近平（シー・チンピン）の時代",
    "髙﨑さんと濵田さんは鷗外を読む。",
    "國語學者の著した舊字の本を讀む人はすくないけれども、そのたのしみをしらないのはもったいないことです。",
    "映画『我们的故事』が日本で公開された。",
    "《青眼の白龍》を召喚",
    "《ワンピース》最新刊発売",
    "山路《やまみち》登",
    "《となりのトトロ》",
    "廣島カープ優勝",
    "國學院大學「たまプラーザ」校舎",
    "廣瀬アリス主演『なつぞら』",
    "",
]


@pytest.mark.parametrize("text", CHINESE_WITH_TITLES)
def test_a_chinese_text_with_japanese_titles_is_chinese(text: str) -> None:
    assert language_of(text) == "zh"
    assert language_of(text * 20) == "zh"


@pytest.mark.parametrize("text", JAPANESE[:-1])
def test_a_japanese_text_with_kanji_alone_or_a_chinese_word_is_japanese(text: str) -> None:
    assert language_of(text) == "ja"
    assert language_of("\n".join([text] * 20)) == "ja"


@pytest.mark.parametrize(
    ("text", "language"), [("", "other"), ("北京大学", "zh"), ("서울は韓国の首都です。한국어로 쓴 문서", "ko"), ("日 is a word of Japanese", "en")]
)
def test_the_rest_is_as_it_was(text: str, language: str) -> None:
    assert language_of(text) == language


def test_the_tables_are_those_of_the_character_sets() -> None:
    assert set("这发记饭们时说对为过还给让吗妈爱书话谁请难东车马鸟鱼龙门问间见贝页风飞你") <= SIMPLIFIED
    assert set("們學國廳歡很妳嗎哪") <= TRADITIONAL
    assert set("悪応発経図売気込働峠畑沢塩") <= SHINJITAI
    everyday = set("".join(documents("ja_train.jsonl")))
    assert not everyday & SIMPLIFIED
    assert not SHINJITAI & (SIMPLIFIED | TRADITIONAL)
    assert not set("髙﨑会国東京日本人大学中文体万台党") & (SIMPLIFIED | TRADITIONAL | SHINJITAI)


@needs_data
def test_the_development_documents_are_japanese_and_english() -> None:
    for language in ("ja", "en"):
        for path in sorted((SHARED / "corpora" / language).glob("*.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                texts = [json.loads(line)["text"] for _, line in zip(range(150), lines, strict=False)]
            assert [text[:80] for text in texts if language_of(text) != language] == []
