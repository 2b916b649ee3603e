"""A model folder ready to be asked: weights, tokenizer, the token before every text, and what scores.json says of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json, read_text
from jp_adapt.core.hashes import sha256_file
from jp_adapt.core.progress import progress
from jp_adapt.corpus.sources import read_documents
from jp_adapt.inference.bits import score_texts
from jp_adapt.inference.local_engine import LocalEngine
from jp_adapt.inference.processes import ALONE, Processes
from jp_adapt.inference.token_backend import Engine, TokenBackend
from jp_adapt.model.causal import CausalModel, load_causal, resolve_precision
from jp_adapt.text.chat import TEMPLATES, with_defaults
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.load import load_tokenizer

LONGEST_CONTEXT = 4096  # tokens; longer prompts are cut from the left and counted


@dataclass(frozen=True)
class EvaluatedModel:
    """A loaded model behind a backend, with its description."""

    backend: TokenBackend
    description: dict[str, Any]
    model: CausalModel
    tokenizer: BpeTokenizer
    prefix: int
    max_tokens: int

    def score_texts(self, paths: Sequence[str]) -> list[dict[str, Any]]:
        """Bits per byte and per character of whole text files."""
        entries = []
        for path in paths:
            documents = read_documents(Path(path), "text")
            with progress(f"bits of {path}", len(documents)) as advance:
                score = score_texts(self.model, self.tokenizer.encode, documents, prefix=self.prefix, max_tokens=self.max_tokens, advance=advance)
            entries.append(
                {
                    "id": Path(path).name,
                    "documents": len(documents),
                    "chars": sum(score.chars),
                    "bytes": sum(score.bytes),
                    "tokens": sum(score.tokens),
                    "bits_per_char": score.bits_per_char,
                    "bits_per_byte": score.bits_per_byte,
                }
            )
        return entries


@dataclass(frozen=True)
class TextSide:
    """What a model folder says of texts: its tokenizer, the token before every text, the tokens that end one, and how long a text may be."""

    folder: Path
    tokenizer: BpeTokenizer
    tokenizer_sha256: str
    prefix: int
    stop_ids: list[int]
    max_tokens: int

    def backend(self, engine: Engine) -> TokenBackend:
        """Benchmarks on an engine that takes this tokenizer's tokens."""
        return TokenBackend(
            engine,
            self.tokenizer.encode,
            prefix=self.prefix,
            max_tokens=self.max_tokens,
            own_start=self.tokenizer.runtime.encode("", add_special_tokens=True).ids,
            render_chat=partial(render_chat, *chat_template(self.folder)),
        )


def text_side(folder: Path, document_start: str | None = None) -> TextSide:
    """The tokenizer of a model folder, which needs no weights; `document_start` is the token before every text, where it is not the tokenizer's BOS.

    InputError for a folder without a tokenizer, or without that token.
    """
    loaded = load_tokenizer(folder)
    prefix = _prefix(folder, loaded.tokenizer) if document_start is None else loaded.tokenizer.runtime.token_to_id(document_start)
    if prefix is None:
        raise InputError(f"{folder}: the tokenizer has no token '{document_start}', which is to stand before every text")
    config = _config(folder)
    max_tokens = min(int(config.get("max_position_embeddings") or LONGEST_CONTEXT), LONGEST_CONTEXT)
    return TextSide(folder, loaded.tokenizer, sha256_file(loaded.files[0]), prefix, [prefix, *_ids(config.get("eos_token_id"))], max_tokens)


def load_model(
    folder: Path, dtype: str = "auto", processes: Processes = ALONE, *, name: str | None = None, document_start: str | None = None
) -> EvaluatedModel:
    """A Hugging Face model folder, checked, on the GPU where there is one. InputError for one without a tokenizer, or whose tokenizer has ids that the
    embedding lacks."""
    side = text_side(folder, document_start)
    tokenizer, precision = side.tokenizer, resolve_precision(dtype)
    model = load_causal(folder, precision)
    if tokenizer.vocab_size > model.vocab_size:
        raise InputError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size:,} tokens, and the embedding {model.vocab_size:,} rows; they do not belong together"
        )
    if torch.cuda.is_available():
        model.to(torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count()))
    description = {
        "name": name or folder.resolve().name,
        "path": str(folder),
        "vocab_size": model.vocab_size,
        "parameters": sum(parameter.numel() for parameter in model.base.parameters()),
        "dtype": str(precision).removeprefix("torch."),
        "tokenizer_sha256": side.tokenizer_sha256,
        "max_tokens": side.max_tokens,
    }
    engine = LocalEngine(model, tokenizer.runtime.decode, stop_ids=side.stop_ids, processes=processes)
    return EvaluatedModel(side.backend(engine), description, model, tokenizer, side.prefix, side.max_tokens)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    return dict(read_json(path)) if path.is_file() else {}


def _prefix(folder: Path, tokenizer: BpeTokenizer) -> int:
    """Id of the token before every text: the tokenizer's BOS, else its EOS."""
    path = folder / "tokenizer_config.json"
    config = read_json(path) if path.is_file() else {}
    for key in ("bos_token", "eos_token"):
        value = config.get(key)
        text = value["content"] if isinstance(value, dict) else value
        token_id = tokenizer.runtime.token_to_id(text) if text else None
        if token_id is not None:
            return int(token_id)
    ids = _ids(_config(folder).get("bos_token_id"))
    if not ids:
        raise InputError(f"{folder}: the tokenizer names no bos_token and no eos_token, so that nothing can stand before a text")
    return ids[0]


def chat_template(folder: Path) -> tuple[str, str]:
    """The Jinja text of the model's chat template, and the text of its BOS; the Japanese Alpaca prompt where it has none."""
    path = folder / "tokenizer_config.json"
    config = read_json(path) if path.is_file() else {}
    bos = config.get("bos_token")
    bos = bos["content"] if isinstance(bos, dict) else bos or ""
    own = folder / "chat_template.jinja"
    template = read_text(own) if own.is_file() else config.get("chat_template")
    if isinstance(template, list):  # several by name: the default one answers
        template = next((entry["template"] for entry in template if entry.get("name") == "default"), None)
    return with_defaults(template or TEMPLATES["alpaca-ja"].jinja, bos=bos, eos=_eos(config), system=None), bos


def render_chat(template: str, bos: str, turns: Sequence[tuple[str, str]], user: str) -> str:
    """A conversation up to the answer that is asked for, without the BOS, which stands before every text anyhow."""
    from transformers.utils.chat_template_utils import render_jinja_template

    messages = [message for said, answer in turns for message in ({"role": "user", "content": said}, {"role": "assistant", "content": answer})]
    messages.append({"role": "user", "content": user})
    rendered, _ = render_jinja_template(conversations=[messages], chat_template=template, add_generation_prompt=True)
    return str(rendered[0]).removeprefix(bos)


def _eos(config: dict[str, Any]) -> str:
    eos = config.get("eos_token")
    return str(eos["content"]) if isinstance(eos, dict) else str(eos or "")


def _ids(value: Any) -> list[int]:
    return [] if value is None else [int(entry) for entry in value] if isinstance(value, list) else [int(value)]
