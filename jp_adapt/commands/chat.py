"""A conversation with a model, or with two side by side."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from jp_adapt.core.errors import InputError
from jp_adapt.core.extras import missing_extra
from jp_adapt.core.files import refuse_existing
from jp_adapt.core.progress import say
from jp_adapt.inference.speaker import FolderSpeaker, Reply, Sampling, ServerSpeaker, Speaker
from jp_adapt.model.gguf_file import GgufFile

Show = Callable[[str], object]
NEW, END = "/new", "/end"  # what a user may say instead of a message


@contextmanager
def open_speaker(model: Path, dtype: str = "auto") -> Iterator[Speaker]:
    """A model folder in transformers, or a GGUF file in llama.cpp; in transformers, expanded to float32, where llama.cpp is not installed.

    InputError where there is no such model, or a file that cannot be read.
    """
    if model.is_dir():
        yield FolderSpeaker(model, dtype)
    elif not model.is_file():
        raise InputError(f"{model}: no such model; give a model folder or a GGUF file")
    elif missing_extra("gguf") is None:
        from jp_adapt.export.gguf_folder import token_ids
        from jp_adapt.export.llama_server import llama_server

        token_ids(GgufFile(model))  # a file that is cut is told in our words
        with llama_server(model) as address:
            yield ServerSpeaker(address)
    else:
        from jp_adapt.export.gguf_folder import convert_gguf

        say(f"llama.cpp is not installed (pip install 'jp-adapt[gguf]'): {model.name} is expanded to float32 for transformers")
        with tempfile.TemporaryDirectory() as folder:
            convert_gguf(model, Path(folder))
            yield FolderSpeaker(Path(folder), "float32")


def chat(
    models: Mapping[str, Path],
    said: Iterable[str],
    show: Show,
    *,
    sampling: Sampling = Sampling(),  # noqa: B008 - frozen
    system: str | None = None,
    transcript: Path | None = None,
    dtype: str = "auto",
) -> None:
    """Let each model answer what is said, each in its own conversation.

    Args:
        models: names for the eye and folders or GGUF files.
        said: messages of the user; `/new` begins a new conversation, `/end` ends.
        show: gets pieces of text as they come, names and line ends too.
        transcript: new file of JSON lines, one for each answer: model, messages, answer, whether it was cut, sampling.

    Raises:
        UsageError: the transcript exists. InputError: no such model.
    """
    if transcript is not None:
        refuse_existing(transcript, "--transcript")
        transcript.parent.mkdir(parents=True, exist_ok=True)
    beginning = [] if system is None else [{"role": "system", "content": system}]
    with ExitStack() as stack:
        speakers = {name: stack.enter_context(open_speaker(model, dtype)) for name, model in models.items()}
        file = None if transcript is None else stack.enter_context(transcript.open("x", encoding="utf-8"))
        talks = {name: list(beginning) for name in speakers}
        for text in said:
            if text == END:
                break
            if text == NEW:
                talks = {name: list(beginning) for name in speakers}
                continue
            for name, speaker in speakers.items():
                messages = [*talks[name], {"role": "user", "content": text}]
                if len(speakers) > 1:
                    show(f"{name}: ")
                try:
                    answer, cut = _told(speaker.reply(messages, sampling), show)
                except InputError as error:
                    show(f"\n[{error}; {NEW} begins a new conversation]\n")
                    continue
                if cut:
                    show(f"[cut: {sampling.max_tokens:,} tokens, or the end of the model's context; --max-tokens allows more, {NEW} makes room]\n")
                talks[name] = [*messages, {"role": "assistant", "content": answer}]
                if file is not None:
                    line = {"model": name, "messages": messages, "answer": answer, "cut": cut, "sampling": asdict(sampling)}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    file.flush()


def _told(reply: Reply, show: Show) -> tuple[str, bool]:
    """The whole answer and whether it was cut; each piece is shown as it comes."""
    cut = False

    def pieces() -> Iterator[str]:
        nonlocal cut
        cut = yield from reply

    answer = ""
    for piece in pieces():
        show(piece)
        answer += piece
    show("\n")
    return answer.strip(), cut
