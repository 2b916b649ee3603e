"""Chat templates against the published formats, written out here by hand, and the mask of answers."""

from __future__ import annotations

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from jp_adapt.text.chat import TEMPLATES, ChatError, Segment, segments, with_defaults

BOS, EOS = "<s>", "</s>"
SPECIAL = (BOS, EOS, "<|eot_id|>", "<|im_end|>")
ASK = {"role": "user", "content": "富士山の高さは？"}
ANSWER = {"role": "assistant", "content": "3,776メートルです。"}
AGAIN = [{"role": "user", "content": "山頂は寒い？"}, {"role": "assistant", "content": "夏でも寒いです。"}]
WITH_INPUT = [{"role": "user", "content": "次の文を要約してください。", "input": "長い文。"}, {"role": "assistant", "content": "要約。"}]


def template(name, system="default", bos=BOS, eos=EOS):
    chosen = TEMPLATES[name]
    return with_defaults(chosen.jinja, bos=bos, eos=eos, system=chosen.system if system == "default" else system)


def renderer(jinja):
    return lambda messages, prompt: render_jinja_template(conversations=[list(messages)], chat_template=jinja, add_generation_prompt=prompt)[0][0]


def render(name, messages, prompt=False, **options):
    return renderer(template(name, **options))(messages, prompt)


def test_alpaca_ja_is_the_prompt_of_lm_evaluation_harness_jp_stable_and_nekomata():
    head = "以下は、タスクを説明する指示と、文脈のある入力の組み合わせです。要求を適切に満たす応答を書きなさい。\n\n"
    asked = head + "### 指示:\n次の文を要約してください。\n\n### 入力:\n長い文。\n\n### 応答:\n"
    assert render("alpaca-ja", WITH_INPUT[:1], prompt=True) == f"<s>{asked}"
    assert render("alpaca-ja", WITH_INPUT) == f"<s>{asked}要約。</s>"


def test_alpaca_ja_without_input_and_with_several_turns_is_the_prompt_of_llm_jp():
    head = "以下は、タスクを説明する指示です。要求を適切に満たす応答を書きなさい。"
    turn = "\n\n### 指示:\n富士山の高さは？\n\n### 応答:\n3,776メートルです。</s>"
    assert render("alpaca-ja", [ASK, ANSWER]) == f"<s>{head}{turn}"
    assert render("alpaca-ja", [ASK, ANSWER, *AGAIN]) == f"<s>{head}{turn}\n\n### 指示:\n山頂は寒い？\n\n### 応答:\n夏でも寒いです。</s>"
    assert render("alpaca-ja", [ASK, ANSWER], system="別の前置き。").startswith("<s>別の前置き。\n\n### 指示:\n")


def test_stable_beluga_is_the_format_of_the_model_card():
    system = "### System:\nThis is a system prompt, please behave and help the user.\n\n"
    assert render("stable-beluga", [ASK], prompt=True) == f"<s>{system}### User:\n富士山の高さは？\n\n### Assistant:\n"
    first = f"<s>{system}### User:\n富士山の高さは？\n\n### Assistant:\n3,776メートルです。</s>"
    assert render("stable-beluga", [ASK, ANSWER]) == first
    assert render("stable-beluga", [ASK, ANSWER, *AGAIN]) == f"{first}\n\n### User:\n山頂は寒い？\n\n### Assistant:\n夏でも寒いです。</s>"


def test_llama2_ja_is_the_prompt_of_the_elyza_model_card():
    b_inst, e_inst = "[INST]", "[/INST]"
    b_sys, e_sys = "<<SYS>>\n", "\n<</SYS>>\n\n"
    prompt = "{bos_token}{b_inst} {system}{prompt} {e_inst} ".format(
        bos_token=BOS, b_inst=b_inst, system=f"{b_sys}あなたは誠実で優秀な日本人のアシスタントです。{e_sys}", prompt=ASK["content"], e_inst=e_inst
    )
    assert render("llama2-ja", [ASK], prompt=True) == prompt
    assert render("llama2-ja", [ASK, ANSWER]) == f"{prompt}3,776メートルです。 </s>"
    # Meta's generation.py: every later pair stands in its own <s> ... </s>, without the system prompt.
    assert render("llama2-ja", [ASK, ANSWER, *AGAIN]) == f"{prompt}3,776メートルです。 </s><s>[INST] 山頂は寒い？ [/INST] 夏でも寒いです。 </s>"


def test_llama3_is_metas_dialogue():
    bos = "<|begin_of_text|>"
    system = {"role": "system", "content": "丁寧に答える。"}
    expected = (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n丁寧に答える。<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n富士山の高さは？<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert render("llama3", [system, ASK], prompt=True, bos=bos) == expected
    assert render("llama3", [system, ASK, ANSWER], bos=bos) == f"{expected}3,776メートルです。<|eot_id|>"
    assert render("llama3", [ASK, ANSWER], bos=bos, system="丁寧に答える。") == f"{expected}3,776メートルです。<|eot_id|>"


def test_chatml_is_chatml():
    asked = "<|im_start|>user\n富士山の高さは？<|im_end|>\n<|im_start|>assistant\n"
    assert render("chatml", [ASK], prompt=True) == asked
    assert render("chatml", [ASK, ANSWER]) == f"{asked}3,776メートルです。<|im_end|>\n"


@pytest.mark.parametrize(
    ("name", "messages"), [*((name, turns) for name in TEMPLATES for turns in ([ASK, ANSWER], [ASK, ANSWER, *AGAIN])), ("alpaca-ja", WITH_INPUT)]
)
def test_loss_lies_on_the_answers_and_the_token_that_ends_them_and_on_nothing_else(name, messages):
    parts = segments(messages, renderer(template(name)), SPECIAL)
    assert "".join(part.text for part in parts) == render(name, messages)
    end = {"llama3": "<|eot_id|>", "chatml": "<|im_end|>", "llama2-ja": " </s>"}.get(name, EOS)
    answers = [message["content"] for message in messages if message["role"] == "assistant"]
    assert "".join(part.text for part in parts if part.trained) == "".join(answer + end for answer in answers)
    contents = [value for message in messages for key, value in message.items() if key != "role"]
    assert [part.text for part in parts if not part.from_template] == contents


def test_text_around_a_message_is_not_kept():
    parts = segments([ASK, {"role": "assistant", "content": "\n はい。 \n"}], renderer(template("chatml")), SPECIAL)
    assert Segment("はい。", True, False) in parts


STOCK_LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ "
    "message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def test_the_stock_template_of_llama3_which_marks_no_answer_gets_its_mask():
    """`apply_chat_template(..., return_assistant_tokens_mask=True)` gives zeros for it, and no error."""
    parts = segments([ASK, ANSWER, *AGAIN], renderer(with_defaults(STOCK_LLAMA3, bos="<|begin_of_text|>", eos=None, system=None)), SPECIAL)
    assert "".join(part.text for part in parts if part.trained) == "3,776メートルです。<|eot_id|>夏でも寒いです。<|eot_id|>"


@pytest.mark.parametrize(
    ("jinja", "message"),
    [
        ("{% for m in messages %}{{ m['content'] | upper }}</s>{% endfor %}", "drops, moves or changes"),
        ("{{ messages[-1]['content'] }}</s>", "drops, moves or changes"),
        ("{{ messages | length }}{% for m in messages %}{{ m['content'] }}</s>{% endfor %}", "otherwise when it continues"),
        ("{% for m in messages %}{{ m['content'] }}\n{% endfor %}", "would not stop"),
    ],
)
def test_a_template_that_cannot_be_trained_with_is_refused(jinja, message):
    messages = [{"role": "user", "content": "abc"}, {"role": "assistant", "content": "def"}]
    with pytest.raises(ChatError, match=message):
        segments(messages, renderer(jinja), SPECIAL)


def test_a_conversation_without_an_answer_is_refused():
    with pytest.raises(ChatError, match="no answer"):
        segments([ASK], renderer(template("chatml")), SPECIAL)


HEADERS = (*SPECIAL, "<|start_header_id|>", "<|end_header_id|>", "<|im_start|>")
SYSTEM_OF_ITS_OWN = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n親切に。<|im_end|>\n' }}{% endif %}"
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + ('</call>' if m['tool_calls'] else '') + '<|im_end|>\n' }}{% endfor %}"
    "{{ '<|im_start|>assistant\n' }}"
)
NO_HEADERS = "{{ bos_token }}{% for m in messages %}{{ '### ' + m['role'] + ':' + m['content'] + bos_token }}{% endfor %}{{ '### assistant:' }}"


@pytest.mark.parametrize("messages", [[ASK, ANSWER], [ASK, ANSWER, *AGAIN], [{"role": "system", "content": "丁寧に。"}, ASK, ANSWER, *AGAIN]])
@pytest.mark.parametrize(
    ("jinja", "end"),
    [
        (with_defaults(STOCK_LLAMA3.replace("{% if add_generation_prompt %}", "{% if true %}"), bos="<s>", eos=None, system=None), "<|eot_id|>"),
        (TEMPLATES["chatml"].jinja.replace("{% if add_generation_prompt %}", "{% if true %}"), "<|im_end|>"),
        (SYSTEM_OF_ITS_OWN, "<|im_end|>"),
        (with_defaults(NO_HEADERS, bos="</s>", eos=None, system=None), "</s>"),
    ],
)
def test_a_generation_prompt_that_none_asked_for_is_not_trained_on(jinja, end, messages):
    """The template of Meta-Llama-3-8B writes it after every conversation, whether `add_generation_prompt` or not."""
    render = renderer(jinja)
    assert render(messages, True) == render(messages, False)
    parts = segments(messages, render, HEADERS)
    assert "".join(part.text for part in parts) == render(messages, False)
    assert "".join(part.text for part in parts if part.trained) == "".join(m["content"] + end for m in messages if m["role"] == "assistant")


def test_a_call_ends_where_an_answer_ends_before_a_generation_prompt_that_none_asked_for():
    call = {"role": "assistant", "content": "調べます。", "tool_calls": [{"function": {"name": 1, "arguments": {}}}]}
    parts = segments([ASK, call], renderer(SYSTEM_OF_ITS_OWN), (*HEADERS, "</call>"))
    assert "".join(part.text for part in parts if part.trained) == "調べます。</call><|im_end|>"


def test_two_tokens_that_end_every_message_are_both_trained_on():
    jinja = "{% for m in messages %}{{ m['content'] + '<|im_end|></s>' }}{% endfor %}"
    parts = segments([ASK, ANSWER], renderer(jinja), HEADERS)
    assert "".join(part.text for part in parts if part.trained) == ANSWER["content"] + "<|im_end|></s>"
