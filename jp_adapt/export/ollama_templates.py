"""Our chat templates in Go's text/template, which Ollama renders, and which of them a model's own template is.

Ollama (template/template.go) gives a template `.System`, all system messages joined, and `.Messages` with `.Role` and `.Content`, the system's among them.
It renders the whole conversation and lets the model continue. Where the file says that its tokenizer puts BOS before a text, the template must not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.inference.text_side import ChatFormat, TextSide
from jp_adapt.text.chat import TEMPLATES, WITHOUT_INPUT, Message, with_defaults

# Stand for texts of the model's tokens: BOS before the whole (nothing where the tokenizer puts it there), BOS of a later turn, EOS.
BOS, LATER_BOS, EOS = "⟦bos⟧", "⟦bos of a later turn⟧", "⟦eos⟧"
PLAIN = "{{ .Prompt }}"  # of a model without a chat template

ALPACA_JA = """\
⟦bos⟧{{ if .System }}{{ .System }}{{ else }}⟦without input⟧{{ end }}{{ range .Messages }}{{ if eq .Role "user" }}

### 指示:
{{ .Content }}{{ else if eq .Role "assistant" }}

### 応答:
{{ .Content }}⟦eos⟧{{ end }}{{ end }}

### 応答:
""".replace("⟦without input⟧", WITHOUT_INPUT)
STABLE_BELUGA = """\
⟦bos⟧{{ range $index, $message := .Messages }}{{ if $index }}

{{ end }}### {{ if eq .Role "system" }}System{{ else if eq .Role "user" }}User{{ else }}Assistant{{ end }}:
{{ .Content }}{{ if eq .Role "assistant" }}⟦eos⟧{{ end }}{{ end }}

### Assistant:
"""
LLAMA2 = (
    '⟦bos⟧{{ $system := .System }}{{ $begin := "" }}{{ range .Messages }}{{ if eq .Role "user" }}{{ $begin }}[INST] '
    '{{ if $system }}<<SYS>>\n{{ $system }}\n<</SYS>>\n\n{{ end }}{{ .Content }} [/INST] {{ $system = "" }}{{ $begin = "⟦bos of a later turn⟧" }}'
    '{{ else if eq .Role "assistant" }}{{ .Content }} ⟦eos⟧{{ end }}{{ end }}'
)
LLAMA3 = """\
⟦bos⟧{{ range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>

{{ .Content }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>

"""
CHATML = """\
{{ range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
GO_TEMPLATES = {"alpaca-ja": ALPACA_JA, "stable-beluga": STABLE_BELUGA, "llama2-ja": LLAMA2, "llama3": LLAMA3, "chatml": CHATML}
STOPS = {"alpaca-ja": ("### 指示:",), "stable-beluga": ("### User:",)}  # where a format is text, a model may begin the next turn itself

_ANSWER = [{"role": "assistant", "content": "二つです。"}, {"role": "user", "content": "Why?"}]
_PROBES: tuple[list[Message], ...] = (
    [{"role": "system", "content": "短く。"}, {"role": "user", "content": "1+1は？"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "いくつ？"}, *_ANSWER],
)
_USER: list[Message] = [{"role": "user", "content": "1+1は？"}]


@dataclass(frozen=True)
class OllamaChat:
    """A Modelfile's chat: its template, the system prompt that holds unless another is given, and texts that end an answer."""

    template: str
    system: str | None
    stops: tuple[str, ...]


def ollama_chat(side: TextSide, *, adds_bos: bool, bos: str, eos: str, name: str | None = None) -> OllamaChat:
    """The chat of a model folder for Ollama.

    Args:
        adds_bos: whether the file's tokenizer puts BOS before a text.
        name: of one of our templates, whatever the model's own says.

    UsageError where the model's template is none of ours, or there is no template of that name.
    """
    if name is None and not side.chat.own:
        return OllamaChat(PLAIN, None, ())
    if name is not None and name not in GO_TEMPLATES:
        raise UsageError(f"no chat template '{name}'; known: {', '.join(GO_TEMPLATES)}")
    system = TEMPLATES[name].system if name is not None else None
    if name is None:
        name, system = recognised(side, bos=bos, eos=eos)
    template = GO_TEMPLATES[name].replace(BOS, "" if adds_bos else bos).replace(LATER_BOS, bos).replace(EOS, eos)
    return OllamaChat(template, system, STOPS.get(name, ()))


def recognised(side: TextSide, *, bos: str, eos: str) -> tuple[str, str | None]:
    """Name of the template of ours that renders as the model's own does, and the system prompt that the model's own puts in where none is given."""
    for name, template in TEMPLATES.items():
        ours = ChatFormat(with_defaults(template.jinja, bos=bos, eos=eos, system=None), side.chat.date)
        if all(_rendered(side.chat, probe) == _rendered(ours, probe) for probe in _PROBES):
            return name, _default_system(side.chat, ours)
    raise UsageError(
        f"{side.folder}: its chat template renders as none of {', '.join(TEMPLATES)} does, and Ollama does not render Jinja; "
        "name the one that is meant with --template, or write TEMPLATE in the Modelfile by hand"
    )


def _default_system(own: ChatFormat, ours: ChatFormat) -> str | None:
    without = _rendered(own, _USER)
    if without is None or without == _rendered(ours, _USER):
        return None
    before, _, behind = (_rendered(ours, [{"role": "system", "content": BOS}, *_USER]) or "").partition(BOS)
    if not (without.startswith(before) and without.endswith(behind) and len(without) > len(before) + len(behind)):
        return None
    return without[len(before) : len(without) - len(behind)]


def _rendered(chat: ChatFormat, messages: Sequence[Message]) -> str | None:
    """The prompt, or None where the template refuses the conversation."""
    try:
        return chat.render_messages(messages, prompt=True)
    except InputError:
        return None
