"""Markup: code that no fence marks stays as it is, and unclosed marks take no more than their length."""

from __future__ import annotations

import pytest

from jp_adapt.text.markup import strip_boilerplate, strip_markup

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
