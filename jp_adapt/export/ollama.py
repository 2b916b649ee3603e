"""A folder for Ollama: the model as GGUF, and a Modelfile that asks it as it was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from jp_adapt.core.errors import UsageError
from jp_adapt.core.files import new_folder, write_text
from jp_adapt.export.gguf import GgufExport, write_gguf
from jp_adapt.export.gguf_source import read_source
from jp_adapt.export.ollama_templates import OllamaChat, ollama_chat
from jp_adapt.inference.text_side import refuse_longer, text_side

NUM_CTX = 8192  # Ollama's default is 4,096 or less; a model's own length may take more memory than there is


def export_ollama(
    model: Path,
    out: Path,
    file_type: str = "auto",
    *,
    system: str | None = None,
    template: str | None = None,
    num_ctx: int | None = None,
    name: str | None = None,
) -> GgufExport:
    """Write the folder `out` for `ollama create NAME -f out/Modelfile`.

    Args:
        file_type: one of those of `export_gguf`.
        system: system prompt; by default the one that the model's chat template puts in.
        template: name of one of our chat templates; by default the one that renders as the model's own does.
        num_ctx: tokens of a conversation; by default the model's length, at most 8,192.

    Raises:
        UsageError: `out` exists, more `num_ctx` than the model has positions, a chat template that is none of ours, or a text that a Modelfile cannot hold.
            Else as `export_gguf`.
    """
    source, side = read_source(model, name), text_side(model)
    refuse_longer("--num-ctx", num_ctx, side.positions)
    texts = source.vocabulary.tokens
    chat = ollama_chat(side, adds_bos=source.vocabulary.add_bos, bos=texts[source.ids["bos"]], eos=texts[source.ids["eos"]], name=template)
    chat = chat if system is None else replace(chat, system=system)
    ends = [texts[source.ids[key]] for key in ("eot", "eos") if key in source.ids]
    length = num_ctx or min(source.config.get("max_position_embeddings", 2048), NUM_CTX)
    file = source.name.replace("/", "-") + ".gguf"
    modelfile = render_modelfile(chat, file, ends, length)
    with new_folder(out) as target:
        export = write_gguf(source, target / file, [file_type])[0]
        write_text(target / "Modelfile", modelfile)
    return replace(export, path=out / export.path.name)


def render_modelfile(chat: OllamaChat, file: str, ends: list[str], num_ctx: int) -> str:
    """The Modelfile's text (docs/modelfile.md of Ollama). UsageError for a text that it cannot hold."""
    lines = [f"FROM ./{file}", f"TEMPLATE {quoted(chat.template)}"]
    if chat.system:
        lines.append(f"SYSTEM {quoted(chat.system)}")
    lines += [f"PARAMETER stop {quoted(stop)}" for stop in dict.fromkeys([*ends, *chat.stops])]
    return "\n".join([*lines, f"PARAMETER num_ctx {num_ctx}"]) + "\n"


def quoted(text: str) -> str:
    """A text between triple quotes, as Ollama's parser takes it back. UsageError where it would not: that drops every character that does not print.

    (parser/parser.go: `strconv.IsPrint`, which is false for U+3000, the space of Japanese text; Python's `isprintable` is the same set.)
    """
    lost = [char for char in text if not char.isprintable() and char not in "\n\t"]
    if lost:
        raise UsageError(f"Ollama drops U+{ord(lost[0]):04X} from a Modelfile without a word; take it out of the text that begins {text[:40]!r}")
    if '"""' in text or text.endswith('"'):
        raise UsageError(f'a Modelfile puts texts between """, and the one that begins {text[:40]!r} holds or ends with quotes; take them out')
    return f'"""{text}"""'
