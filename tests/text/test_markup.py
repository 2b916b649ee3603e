"""Markup: code that no fence marks stays as it is, and unclosed marks take no more than their length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.text import markup
from jp_adapt.text.markup import strip_boilerplate, strip_markup
from tests.properties import examples

WIKI = "[[東京|首都]]は'''大きい'''。{{出典}}[[大阪]]も。"
HTML = "<p>一つ</p><p>二つ<br>三つ</p>"


@pytest.mark.parametrize(
    "text",
    [
        "[[ -f a ]] && [[ -d b ]]\nif [[ -z $x ]]; then\n",
        "n=[[0]]\nm=[[1]]\nk = [[2, 3]]\n",
        "x[[1]] + y[[2]] + z[['a']]",
        "{{ a }} {{ b }} {{ c }}",
        "<p>ではなく{{name}}と{{age}}と{{x}}",
        "例:\n\n    <div><p>あ</p></div>\n    <p>い</p>\n\n終わり",
        "例:\n\n\t<ul>\n\t<li>あ</li>\n\t</ul>\n",
        "function App() {\n  return (\n    <div>\n      <h1>題</h1>\n      <p>{x}</p>\n    </div>\n  );\n}\n",
        "return <div><p>あ</p><p>い</p></div>;",
        '<div className="a"><p>あ</p><br/></div>',
        "  ```html\n  <p>あ</p><p>い</p>\n  ```",
        "````\n```\n<p>あ</p><p>い</p>\n````",
        "x = '''a''' + '''b''' + '''c'''",
    ],
)
def test_code_without_a_fence_is_left_alone(text: str) -> None:
    assert strip_markup(text) == (text, {})


def test_code_between_markup_is_left_alone_and_the_markup_goes() -> None:
    code = "    <p>見本</p>\n    <p>見本</p>"
    assert strip_markup(f"説明{HTML}\n\n{code}\n\n[[ -f a ]] && [[ -d b ]]\n\n{HTML}")[0] == (
        f"説明\n一つ\n\n二つ\n三つ\n\n{code}\n\n[[ -f a ]] && [[ -d b ]]\n\n一つ\n\n二つ\n三つ"
    )
    assert strip_markup(f"{WIKI}\n\nn=[[0]]\n{{{{ a }}}}")[0] == "首都は大きい。大阪も。\n\nn=[[0]]\n{{ a }}"


def test_an_indented_page_is_no_code() -> None:
    page = "<html>\n<body>\n\n    <div>\n      <p>一つ</p>\n\n      <p>二つ&nbsp;\n    </div>\n  <script>\n\n    if (a) {\n  </script>\n</body></html>"
    assert strip_markup(page)[0] == "一つ\n\n二つ"


def test_what_is_closed_goes_whole() -> None:
    text = f"{HTML}<!-- <p>見えない --><script>a<script>b</script><SCRIPT x='1'>c</SCRIPT >本文<style>d"
    assert strip_markup(text)[0] == "一つ\n\n二つ\n三つ\n\n本文d"
    assert strip_markup(f'{WIKI}<ref name="a"/>一<ref name="b">注</ref>二<ref>注')[0] == "首都は大きい。大阪も。一二<ref>注"


OPENERS = [
    "<!--",
    "<script>",
    "<script></script",
    "</script ",
    "<ref>",
    "<ref ",
    "<!DOCTYPE",
    "<div ",
    "[[",
    "[[a|",
    "{{a",
    "[http://",
    "'''",
    "''a ",
    "==a",
    "`",
    "```",
    "~",
]
BLANK = [" ", "\t", "\n", "　", "|", "| ", "(c)", "    x\n", "return (\n", "a = ", "import a ", "(", "=> "]


@pytest.mark.parametrize("unit", OPENERS + BLANK)
@pytest.mark.parametrize("line", ["", WIKI + HTML])
def test_marks_without_an_end_take_no_more_than_their_length(unit: str, line: str) -> None:
    text = line * 2000 + "\n" + unit * (500_000 // len(unit)) + "<"
    stripped, _ = strip_markup(text)  # quadratic patterns need minutes to hours for each of these
    assert strip_boilerplate(stripped)[0].count("首都は") == (2000 if line else 0)


@pytest.mark.parametrize(
    ("text", "dropped", "kept"),
    [
        ("<ruby>町<rt>まち</rt></ruby>へ", "町へ", "町（まち）へ"),
        ("<ruby><rb>漢</rb><rp>(</rp><rt>かん</rt><rp>)</rp><rb>字</rb><rp>(</rp><rt>じ</rt><rp>)</rp></ruby>", "漢字", "漢（かん）字（じ）"),
        ("<ruby>東<rt>とう<rt></rt>京<rt>きょう</ruby>に", "東京に", "東（とう）京（きょう）に"),  # an end may be left out, and a reading be empty
        ("<RUBY class='a'>町<RP>（<RT>まち<RP>）</RUBY>", "町", "町（まち）"),
        ("<ruby>今日<rt>きょう</rt><rtc>today</rtc></ruby>は", "今日は", "今日（きょう）は"),
        ("｜日本《にほん》の｜東京タワー《とうきょうタワー》", "日本の東京タワー", "日本（にほん）の東京タワー（とうきょうタワー）"),
        ("|日本《にほん》の朝", "日本の朝", "日本（にほん）の朝"),
        ("吾輩《わがはい》は猫である。", "吾輩は猫である。", "吾輩（わがはい）は猫である。"),
        ("年上《としうえ》と俤《おもかげ》と燐寸《マッチ》", "年上と俤と燐寸", "年上（としうえ）と俤（おもかげ）と燐寸（マッチ）"),
        ("俤《おもかげびと》と酔漢《よいどれ》と寂寥《さびしさ》", "俤と酔漢と寂寥", "俤（おもかげびと）と酔漢（よいどれ）と寂寥（さびしさ）"),
        ("｜此処《ここ》は《《大事》》だ。［＃「大事」に傍点］", "此処は大事だ。", "此処（ここ）は大事だ。"),
        ("※［＃「口＋世」、U+546D、123-4］と※［＃「てへん」］［＃改ページ］", "呭と※", "呭と※"),
        ("{{ruby|東京|とうきょう}}と{{読み仮名|首都|しゅと}}", "東京と首都", "東京（とうきょう）と首都（しゅと）"),
    ],
)
def test_readings_are_out_or_behind_their_word(text: str, dropped: str, kept: str) -> None:
    assert strip_markup(text)[0] == dropped
    assert strip_markup(text, "parentheses")[0] == kept
    assert strip_markup(text)[1].keys() == {"ruby"}


@pytest.mark.parametrize(
    "text",
    [
        "小説《こころ》を読む。",
        "映画《おくりびと》と名曲《さくら》",
        "《七人の侍》",
        "`<ruby>町<rt>まち</rt></ruby>`と書く。",
        "<ruby>Matz</ruby>は人である。",
        "<ruby>町<rt>まち",
        "a《b》c",
    ],
)
def test_what_is_no_reading_stays(text: str) -> None:
    assert strip_markup(text) == (text, {})


TABLE = "<table><tr><th>都市</th><th>人口</th></tr>\n<tr>\n  <td>東京</td>\n  <td>1400万</td>\n</tr><tr><td>3<td>14</tr></table>"


def test_cells_of_a_table_stay_apart() -> None:
    assert strip_markup(TABLE)[0] == "都市\t人口\n\n東京\t1400万\n\n3\t14"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<dialog><p>一つ</p></dialog><details><summary>題</summary>二つ</details>", "一つ\n\n題\n二つ"),
        ("<p>式<math><mi>x</mi><mo>=</mo><mn>1</mn></math>です</p><p>二</p>", "式x=1です\n\n二"),
        ("<p><o:p>一つ</o:p></p><my-card><p>二つ</p></my-card>", "一つ\n\n二つ"),
        ("<p title=\"a>b\">一つ</p><p data-x='c>d'>二つ</p>", "一つ\n\n二つ"),
        ("<p>一<kbd>A</kbd>二<mark>三</mark><code>四</code></p><p>五</p>", "一A二三四\n\n五"),
        ("<!DOCTYPE html><html><body><p>一つ<foo>二つ<p>三つ</body></html>", "一つ二つ\n三つ"),
    ],
)
def test_any_element_is_one(html: str, text: str) -> None:
    assert strip_markup(html)[0] == text


@pytest.mark.parametrize(
    "text", ["git <command> <object> <source>", "ssh <user>@<host>:<port>", "<config><item>一</item><item>二</item></config>", "List<String>とMap<K>"]
)
def test_a_name_that_nobody_closes_is_an_argument(text: str) -> None:
    assert strip_markup(text) == (text, {})


RUBY_LOOPS = [
    "<ruby>",
    "<ruby",
    "<ruby>町<rt>",
    "</ruby>",
    "<rt>",
    "｜",
    "｜日本",
    "漢",
    "漢《",
    "漢《か",
    "《《",
    "［＃",
    "※［＃",
    "{{ruby|",
    "<a-b>",
    "<a:b ",
    '<x "',
    "<x '",
    "<td>",
    "</td> ",
]


@pytest.mark.parametrize("unit", RUBY_LOOPS)
def test_marks_of_readings_without_an_end_take_no_more_than_their_length(unit: str) -> None:
    strip_markup("｜日本《にほん》" + unit * (200_000 // len(unit)) + "<ruby>町<rt>まち</rt></ruby>")


PIECES = [
    "<p>",
    "</p>",
    "<P ",
    "<!--",
    "-->",
    "<ruby>",
    "<Ruby lang=ja>",
    "<RT>",
    "</ruby>",
    "<!DOCTYPE html>",
    "<x>",
    "< p>",
    "[[東京|",
    "]]",
    "'''",
    "\n==",
    "== ",
    "<ref>",
    "</ref>",
]


@examples(500)
@given(
    st.lists(st.sampled_from([*PIECES, "{{a}}", "東京《とうきょう》", "［＃字下げ］", "`", "```\n", "\n", "\n\n    ", "あいう", "a = b;", "x"]), max_size=14)
)
def test_what_is_passed_by_has_nothing_to_strip(pieces: list[str]) -> None:
    text = "".join(pieces)
    result = strip_markup(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markup, "_may_hold_markup", lambda text: True)
        assert result == strip_markup(text)
