"""Chat templates are rendered as transformers renders them, on one day, within a bound, and with one error that has the template's own words."""

from __future__ import annotations

import importlib.util
import resource
import time
from datetime import datetime
from pathlib import Path

import pytest
from transformers.utils import chat_template_utils
from transformers.utils.chat_template_utils import render_jinja_template

from jp_adapt.text.chat import TEMPLATE_DATE, TEMPLATES, ChatError, render, segments, with_defaults
from jp_adapt.text.chat_jinja import checked_template

TRL = importlib.util.find_spec("trl")
FOLDER = Path(TRL.origin).parent / "chat_templates" if TRL is not None and TRL.origin else Path("none")
HUB = sorted(path for path in FOLDER.glob("*.jinja") if not path.stem.endswith("_training"))  # templates of 40 models, as the hub has them
needs_trl = pytest.mark.skipif(not HUB, reason="TRL, which carries the templates of well-known models, is not installed (pip install 'jp-adapt[preference]')")

ASK, ANSWER = {"role": "user", "content": "1+1は？"}, {"role": "assistant", "content": "2です。"}
SYSTEM = {"role": "system", "content": "丁寧に。"}
TOOL = {
    "type": "function",
    "function": {"name": "add", "description": "足す", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}},
}
CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "add", "arguments": {"a": 1, "名": '日"本'}}}
CALLED = [ASK, {"role": "assistant", "content": "", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "abcdefghi", "name": "add", "content": "2"}, ANSWER]
REASONED = [ASK, ANSWER | {"reasoning_content": "考える。"}]
CONVERSATIONS = {
    "plain": [ASK, ANSWER, ASK, ANSWER],
    "system": [SYSTEM, ASK, ANSWER],
    "calls": CALLED,
    "reasoning": [ASK, REASONED[1] | {"thinking": "考える。"}],
}


class Fixed(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


@needs_trl
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_templates_of_the_hub_are_rendered_as_transformers_renders_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template_utils, "datetime", Fixed)
    messages, tools, equal = CONVERSATIONS[name], [TOOL] if name == "calls" else None, 0
    for path in HUB:
        jinja = "{% set bos_token = '<s>' %}{% set eos_token = '</s>' %}" + path.read_text(encoding="utf-8")
        try:
            theirs = render_jinja_template(conversations=[messages], tools=tools, chat_template=jinja, add_generation_prompt=True, date_string=TEMPLATE_DATE)[
                0
            ][0]
        except Exception:  # a template that refuses the conversation
            with pytest.raises(ChatError):
                render(jinja, messages, prompt=True, tools=tools)
            continue
        assert render(jinja, messages, prompt=True, tools=tools) == theirs, path.name
        equal += 1
    assert equal > len(HUB) / 2


def test_the_published_formats_are_rendered_as_transformers_renders_them() -> None:
    for name, template in TEMPLATES.items():
        jinja = with_defaults(template.jinja, bos="<s>", eos="</s>", system=template.system)
        for prompt in (False, True):
            theirs = render_jinja_template(conversations=[CONVERSATIONS["plain"]], chat_template=jinja, add_generation_prompt=prompt)[0][0]
            assert render(jinja, CONVERSATIONS["plain"], prompt=prompt) == theirs, name


def test_a_template_that_asks_for_the_day_gets_the_one_that_is_given() -> None:
    asks = "{{ strftime_now('%Y-%m-%d') }} {{ date_string }}"
    assert render(asks, [ASK], prompt=False) == "2024-07-26 26 Jul 2024"
    assert render(asks, [ASK], prompt=False, date="01 Dec 2026") == "2026-12-01 01 Dec 2026"


def test_what_templates_use_works() -> None:
    jinja = (
        "{% macro show(m) %}<{{ m.role }}>{{ m['content'] | trim }}{% endmacro %}"
        "{% set ns = namespace(n=0) %}{% for m in messages[::-1] %}{% if m.role == 'tool' %}{% continue %}{% endif %}{% set ns.n = ns.n + 1 %}"
        "{% generation %}{{ show(m) }}{{ '' if loop.last else '|' }}{% endgeneration %}{% if ns.n > 2 %}{% break %}{% endif %}{% endfor %}"
        "{{ missing }}{{ tools is none }}{{ '%03d' % ns.n }}"
        "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ {'a': '<日>'} | tojson }}\n"
    )
    expected = render_jinja_template(conversations=[CALLED], chat_template=jinja)[0][0]
    assert render(jinja, CALLED, prompt=False) == expected
    assert expected.startswith("<assistant>2です。|<assistant>|<user>1+1は？")


def test_a_template_that_refuses_says_so_in_its_own_words() -> None:
    jinja = "{% if messages[0].role == 'system' %}{{ raise_exception('System role\\nnot supported') }}{% endif %}ok"
    with pytest.raises(ChatError, match=r"^it refuses the conversation: System role not supported$"):
        render(jinja, [SYSTEM, ASK], prompt=True)
    assert render(jinja, [ASK], prompt=True) == "ok"


NO_TEMPLATES = {
    "open": ("{{ x", "not a Jinja template"),
    "no such filter": ("{{ messages | shout }}", "No filter named 'shout'"),
    "another file": ("{% include 'x' %}", "'include' is not for templates"),
    "deep": ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "not a Jinja template"),
    "long": ("x" * 200_001, "it has 200,001 characters; at most 200,000 are read"),
}


@pytest.mark.parametrize("name", NO_TEMPLATES)
def test_what_is_no_template_is_told_at_once(name: str) -> None:
    jinja, message = NO_TEMPLATES[name]
    with pytest.raises(ChatError, match=message.replace("(", r"\(")):
        checked_template(jinja)


FAILING = {
    "division": ("{{ 1 / 0 }}", "ZeroDivisionError"),
    "a missing key": ("{{ messages[99].role }}", "UndefinedError"),
    "a wrong type": ("{{ messages + 1 }}", "TypeError"),
    "a look behind the curtain": ("{{ messages.__class__.__mro__ }}", "SecurityError"),
    "a changed list": ("{{ messages.append(1) }}", "SecurityError"),
    "an endless macro": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested too deeply"),
    "a width": ("{{ strftime_now('%1000000000d') }}", "too many digits"),
    "a deep indent": ("{{ messages | tojson(indent=9999) }}", "more than 16 characters"),
}


@pytest.mark.parametrize("name", FAILING)
def test_whatever_a_template_raises_is_one_error(name: str) -> None:
    jinja, message = FAILING[name]
    with pytest.raises(ChatError, match=message) as caught:
        render(jinja, [ASK, ANSWER], prompt=False)
    assert "\n" not in str(caught.value)


BOMBS = [
    "{{ 'a' * 10**9 }}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "{% for a in range(9999) %}" + "日本" * 9_000 + "{% endfor %}",
    "{% macro m(n) %}" + "x" * 90_000 + "{% endmacro %}{% for a in range(99999) %}{{ m(a) }}{% endfor %}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "{% set ns = namespace(a='ab') %}{% for i in range(99) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
    "{% set ns = namespace(a=[1]) %}{% for i in range(99) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a | tojson }}",
    "{% set ns = namespace(a='ab') %}{% for i in range(99) %}{% set b %}{{ ns.a }}{{ ns.a }}{% endset %}{% set ns.a = b %}{% endfor %}",
    "{{ messages[0].content.replace('', 'x' * 9999).replace('x', 'y' * 9999).replace('y', 'z' * 9999) }}",
    "{{ ('a\\n' * 100000) | indent(9999) }}",
    "{{ range(99999) | map('string') | join('x' * 100000) }}",
    "{% set ns = namespace(a=2) %}{% for i in range(99) %}{% set ns.a = ns.a * ns.a %}{% endfor %}",
]


@pytest.mark.parametrize("jinja", BOMBS, ids=lambda text: text[:60])
def test_what_takes_too_much_ends_soon_and_small(jinja: str) -> None:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ChatError, match="it fails: TooMuchError"):
        render(jinja, [ASK, ANSWER], prompt=False)
    assert time.process_time() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, "kB"


def test_a_long_conversation_is_within_the_bound() -> None:
    """The bound grows with what is rendered: 4,000 messages, and one of 3 million characters."""
    jinja = TEMPLATES["llama3"].jinja
    many = [ASK, ANSWER] * 2000
    assert render(jinja, many, prompt=True).count("2です。") == 2000
    assert len(render(jinja, [ASK | {"content": "長い文。" * 750_000}, ANSWER], prompt=True)) > 3_000_000


def trained(jinja: str, messages: list[dict], special: tuple[str, ...], tools: list[dict] | None = None) -> list[str]:
    """What carries loss, one text for each answer."""
    results, before = [], False
    for part in segments(messages, lambda turns, prompt: render(jinja, turns, prompt=prompt, tools=tools), special):
        if part.trained:
            results = [*results[:-1], results[-1] + part.text] if before else [*results, part.text]
        before = part.trained
    return results


QWEN_CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "名": "日\\"本"}}\n</tool_call><|im_end|>'


@needs_trl
@pytest.mark.parametrize(
    ("name", "special", "call", "reasoned"),
    [
        ("qwen2_5", ("<|im_end|>",), QWEN_CALL, None),
        ("qwen3", ("<|im_end|>",), f"<think>\n\n</think>\n\n{QWEN_CALL}", "<think>\n考える。\n</think>\n\n2です。<|im_end|>"),
        ("llama3_1", ("<|eot_id|>",), '{"name": "add", "parameters": {"a": 1, "名": "日\\"本"}}<|eot_id|>', None),
    ],
)
def test_calls_and_reasoning_are_trained_on_as_the_template_writes_them(name: str, special: tuple[str, ...], call: str, reasoned: str | None) -> None:
    jinja = with_defaults((FOLDER / f"{name}.jinja").read_text(encoding="utf-8"), bos="<s>", eos="</s>", system=None)
    calls = trained(jinja, CALLED[:2], special, [TOOL])
    assert calls == [call], "the call of the assistant, and not the tools it was given"
    if reasoned is None:
        with pytest.raises(ChatError, match="it does not show 'reasoning_content'"):
            trained(jinja, REASONED, special)
    else:
        assert trained(jinja, REASONED, special) == [reasoned]


@needs_trl
def test_what_a_tool_says_is_not_trained_on() -> None:
    jinja = (FOLDER / "llama3_1.jinja").read_text(encoding="utf-8")
    first, last = trained(with_defaults(jinja, bos="<s>", eos=None, system=None), CALLED, ("<|eot_id|>",), [TOOL])
    assert first.startswith('{"name": "add"')
    assert last == "2です。<|eot_id|>"


def test_an_answer_of_weight_0_is_read_and_not_trained_on() -> None:
    messages = [ASK, ANSWER | {"content": "悪い。", "weight": 0}, ASK, ANSWER]
    assert trained(TEMPLATES["chatml"].jinja, messages, ("<|im_end|>",)) == ["2です。<|im_end|>"]
    assert "悪い。" in render(TEMPLATES["chatml"].jinja, messages, prompt=False)
    with pytest.raises(ChatError, match="no answer"):
        trained(TEMPLATES["chatml"].jinja, messages[:2], ("<|im_end|>",))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_that_does_not_show_a_part_is_refused(name: str) -> None:
    jinja = with_defaults(TEMPLATES[name].jinja, bos="<s>", eos="</s>", system=None)
    special = ("</s>", "<|im_end|>", "<|eot_id|>")
    with pytest.raises(ChatError, match="it does not show 'reasoning_content'"):
        trained(jinja, REASONED, special)
    with pytest.raises(ChatError, match=r"it does not show 'tool_calls'|it fails: |drops, moves or changes"):
        trained(jinja, CALLED, special)
