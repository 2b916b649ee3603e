"""Templates of declarations: what prompts need works as in Jinja, and what takes too much or breaks is one error, soon and in little memory."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from jp_adapt.benchmarks.templates import checked_expression, checked_template, render, value_of
from jp_adapt.core.errors import UsageError
from tests.properties import examples

FIELDS = {"x": "日本", "n": 3, "texts": ["a", "b", "a"], "record": {"k": [1, 2], "名": "v"}, "long": "ab" * 50_000, "flag": True, "json": '[{"a": 1}]'}

HARMLESS = [
    "{{ x }} {{ n + 1 }} {{ n * 2 }} {{ n ** 2 }} {{ n % 2 }} {{ x * 3 }} {{ texts + texts }} {{ '%s:%03d' % (x, n) }}",
    "{% for text in texts %}{{ loop.index }}/{{ loop.length }} {{ text }}{% if not loop.last %}, {% endif %}{% else %}none{% endfor %}",
    "{% set a = x ~ n ~ texts %}{{ a }}{% set b %}[{{ a }}]{% endset %}{{ b | upper }}",
    "{{ texts | join('、') }} {{ texts | unique | list }} {{ texts | reject('equalto', 'a') | list }} {{ texts | map('upper') | join }}",
    "{{ texts[1:] }} {{ x[:1] }} {{ record.k[0] }} {{ record['名'] }} {{ record.items() | list }} {{ record.get('z', 5) }}",
    "{{ 'a' in texts }} {{ 'z' not in texts }} {{ 1 < n <= 3 }} {{ x == '日本' }} {{ texts == ['a', 'b', 'a'] }} {{ missing is defined }}",
    "{{ missing | default('d') }} {{ (missing if missing is defined else x) | replace('日', '月') }} {{ x.replace('本', 'hon') }}",
    "{{ '-'.join(texts) }} {{ 'a,b'.split(',') }} {{ x.startswith('日') }} {{ texts.index('b') }} {{ texts | length }} {{ long | length }}",
    "{% for i in range(3) %}{% for j in range(i) %}{{ i }}{{ j }} {% endfor %}{% endfor %}",
    "{% set ns = namespace(total=0) %}{% for i in range(5) %}{% set ns.total = ns.total + i %}{% endfor %}{{ ns.total }}",
    "{{ texts | batch(2) | list }} {{ texts | sort(reverse=true) }} {{ record | dictsort }} {{ record | tojson }} {{ 2.345 | round(1) }} {{ '7' | int }}",
    "{% if flag and n > 2 %}yes{% elif n %}some{% else %}no{% endif %} {{ 'a' if flag else 'b' }}\n\n",
    "{% with y = x %}{{ y }}{% endwith %}{{ [1, [2, 3]] }} {{ {'a': x} }} {{ (1, 2) }} {{ -n }} {{ 7 // 2 }} {{ none }} {{ dict(a=1) }}",
]

REFUSED_AT_ONCE = [
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% for a in texts recursive %}{{ loop(texts) }}{% endfor %}",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% filter upper %}x{% endfilter %}",
    "{{ 'a' | center(9) }}",
    "{{ 'a' | format(1) }}",
    "{{ 'a' | attr('upper') }}",
    "{{ texts | random }}",
    "{{ " + "(" * 3_000 + "1" + ")" * 3_000 + " }}",
    "{{ " + "[" * 900 + "]" * 900 + " }}",
    "{{ " + "-" * 5_000 + "1 }}",
    "".join(f"{{% for a{n} in texts %}}" for n in range(30)) + "{% endfor %}" * 30,
    "{% if x %}" * 200 + "{% endif %}" * 200,
    "x" * 20_001,
    "{{ x",
    "{{ 9" + "9" * 5_000 + " }}",
]

TOO_MUCH = [
    "{{ 'a' * 10**9 }}",
    "{{ 10**9 * 'a' }}",
    "{{ [0] * 10**9 }}",
    "{{ 'a' * 10**7 * 10**7 }}",
    "{{ 10 ** (10 ** 10) }}",
    "{{ (10 ** 3000) ** 3000 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % (10**9, 1) }}",
    "{{ 'a'.center(10**9) }}",
    "{{ 'a'.ljust(10 ** 300) }}",
    "{{ 'a'.zfill(10**9) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ long | replace('', long) }}",
    "{{ long.replace('a', long) }}",
    "{{ long.join(long) }}",
    "{{ range(9999) | join(long) }}",
    "{{ ([long] * 9999) | join }}",
    "{{ ([[0] * 9999] * 9999) | sum(start=[]) }}",
    "{% set a = long %}" + "".join("{% set a = a ~ a %}" for _ in range(60)) + "{{ a }}",
    "{% set a = long %}" + "".join("{% set a = a + a %}" for _ in range(60)) + "{{ a }}",
    "{% set a = [long] %}" + "".join("{% set a = [a, a] %}" for _ in range(60)) + "{{ a }}",
    "{% set a = [long] %}" + "".join("{% set a = [a, a] %}" for _ in range(60)) + "{{ a | string | length }}",
    "{% set a = [long] %}" + "".join("{% set a = [a, a] %}" for _ in range(60)) + "{{ a == [a] }}",
    "{% set b %}{{ long }}{% endset %}" + "".join("{% set b %}{{ b }}{{ b }}{% endset %}" for _ in range(60)),
    "{% set ns = namespace(a=long) %}{% for i in range(99) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
    "{% set ns = namespace(a=2) %}{% for i in range(99) %}{% set ns.a = ns.a * ns.a %}{% endfor %}{{ ns.a }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "{% for a in range(9999) %}{% if 'z' in long %}{% endif %}{% endfor %}",
    "{% for a in range(9999) %}{% set b = long[1:] %}{% endfor %}",
    "{% for a in range(9999) %}{{ long }}{% endfor %}",
    "{% for a in range(9999) %}{{ long | length }}{% endfor %}",
    "{% for a in range(9999) %}{{ long | select('equalto', 'b') | list | length }}{% endfor %}",
    "{{ range(9999) | select('in', range(9999) | list) | list }}",
    "{{ range(99999) | map('string') | map('upper') | join(long) }}",
    "{{ range(10**9) | list }}",
]

BROKEN = [
    "{{ 1 / 0 }}",
    "{{ 1 % 0 }}",
    "{{ 1e400 | int }}",
    "{{ x.encode('foo') }}",
    "{{ x + 1 }}",
    "{{ texts[99] }}",
    "{{ missing }}",
    "{{ missing.x }}",
    "{{ missing ~ 'a' }}",
    "{{ missing == 1 }}",
    "{% for a in missing %}{% endfor %}",
    "{% for a in n %}{% endfor %}",
    "{{ texts.append('x') }}",
    "{{ texts.sort() }}",
    "{{ x() }}",
    "{{ x.format.__globals__ }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ 2 ** 'a' }}",
    "{{ texts | sum }}",
    "{{ texts | map('nothing') | list }}",
    "{{ 2.0 ** 5000 }}",
    "{{ ('[' * 900) | fromjson }}",
    "{{ ('9' * 5000) | fromjson }}",
    "{{ ('[' * 900) | frompython }}",
    "{{ 'open(1)' | frompython }}",
    "{{ texts | slice(0) | list }}",
]


@pytest.mark.parametrize("template", HARMLESS)
def test_what_prompts_need_is_as_in_jinja(template: str) -> None:
    plain = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    assert render(checked_template(template), FIELDS) == plain.from_string(template).render(FIELDS)


@pytest.mark.parametrize("template", REFUSED_AT_ONCE, ids=lambda text: text[:50])
def test_what_prompts_do_not_need_is_refused_when_it_is_read(template: str) -> None:
    with pytest.raises(ValueError, match="Jinja template") as stated:
        checked_template(template)
    assert "\n" not in str(stated.value)
    assert len(str(stated.value)) < 400


@pytest.mark.parametrize("template", TOO_MUCH, ids=lambda text: text[:60])
def test_what_takes_too_much_ends_soon_and_small(template: str) -> None:
    checked_template(template)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UsageError, match="cannot be filled in") as stated:
        render(template, FIELDS)
    assert time.process_time() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, "kB"
    assert "\n" not in str(stated.value)


@pytest.mark.parametrize("template", BROKEN)
def test_whatever_python_raises_is_one_error(template: str) -> None:
    checked_template(template)
    with pytest.raises(UsageError, match=r"template ['\"].*['\"] cannot be filled in \(.+\); fields: flag, json, long") as stated:
        render(template, FIELDS)
    assert "\n" not in str(stated.value)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("record.k | map('string') | list", ["1", "2"]),
        ("json | fromjson", [{"a": 1}]),
        ("\"['一', 2]\" | frompython", ["一", 2]),
        ("texts.index('b')", 1),
        ("x", "日本"),
        ("n > 2 and flag", True),
    ],
)
def test_an_expression_gives_its_value(expression: str, value: object) -> None:
    assert value_of(checked_expression(expression), FIELDS) == value


@pytest.mark.parametrize("expression", ["1 / 0", "missing", "missing.x", "range(10**9) | list", "'a' * 10**9", "{}.x", "texts.pop()", "x | nothing('a')"])
def test_an_expression_without_a_value(expression: str) -> None:
    with pytest.raises((UsageError, ValueError), match=r"has no value|not a Jinja expression"):
        value_of(checked_expression(expression), FIELDS)


PART = st.sampled_from(["x", "n", "texts", "long", "record", "missing", "1", "'a'", "10**9", "[]", "none", "1e308", "true", "range(9)", "json"])
JOIN = st.sampled_from(["+", "*", "**", "%", "~", "-", "/", "//", "==", "<", "in", "and", "if n else"])
AFTER = st.sampled_from(
    [
        "",
        "[0]",
        "[1:]",
        "[::-1]",
        " | list",
        " | join",
        " | string",
        " | sum",
        ".x",
        "()",
        ".join(texts)",
        ".replace('a', long)",
        " | replace('', 'b')",
        " | sort",
        " | tojson",
    ]
)
EXPRESSION = st.recursive(PART, lambda inner: st.tuples(inner, JOIN, inner, AFTER).map(lambda t: f"({t[0]} {t[1]} {t[2]}){t[3]}"), max_leaves=8)


@examples(120)
@given(st.lists(EXPRESSION, min_size=1, max_size=3), st.booleans())
def test_any_template_is_a_text_or_one_error(parts: list[str], loops: bool) -> None:
    template = "".join(f"{{% set v{n} = {part} %}}{{{{ v{n} }}}}" for n, part in enumerate(parts))
    template = f"{{% for i in range(999) %}}{template}{{% endfor %}}" if loops else template
    started = time.process_time()
    try:
        assert isinstance(render(checked_template(template), FIELDS), str)
    except (UsageError, ValueError) as error:
        assert type(error) in (UsageError, ValueError)  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    assert time.process_time() - started < 10


def test_jinja_is_loaded_with_the_first_template(tmp_path: Path) -> None:
    code = "import sys, jp_adapt.benchmarks.templates; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == 0


def test_json_is_shown_as_it_is_written() -> None:
    assert render("{{ record | asjson }}", {"record": {"名": "'日本' <b>", "n": [1, None]}}) == '{"名": "\'日本\' <b>", "n": [1, null]}'
