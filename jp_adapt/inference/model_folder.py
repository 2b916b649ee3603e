"""A model folder ready to be asked: weights behind its text side, and what scores.json says of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from jp_adapt.core.errors import InputError
from jp_adapt.core.names import model_name
from jp_adapt.core.progress import progress
from jp_adapt.corpus.sources import read_documents
from jp_adapt.inference.bits import TEXT_WINDOW, TextScore, score_texts
from jp_adapt.inference.local_engine import LocalEngine
from jp_adapt.inference.processes import ALONE, Processes
from jp_adapt.inference.samples import continue_prompts
from jp_adapt.inference.text_side import TextSide, text_side
from jp_adapt.inference.token_backend import TokenBackend
from jp_adapt.inference.vision import ModelEyes
from jp_adapt.model.causal import CausalModel, load_causal, resolve_precision
from jp_adapt.model.language_view import whole_of


@dataclass(frozen=True)
class EvaluatedModel:
    """A loaded model behind a backend, with its description."""

    backend: TokenBackend
    description: dict[str, Any]
    model: CausalModel
    side: TextSide

    def score_documents(self, documents: Sequence[str], advance: Callable[[int, str], None]) -> TextScore:
        """What whole texts cost, each after the token that begins a document, and with the one that ends it."""
        side, window = self.side, min(self.side.max_tokens, TEXT_WINDOW)
        return score_texts(self.model, side.tokenizer.encode, documents, prefix=side.starts.document, end=side.document_end, max_tokens=window, advance=advance)

    def score_texts(self, paths: Sequence[str], field: str = "text") -> list[dict[str, Any]]:
        """Bits per byte and per character of whole text files; `field` holds the text of a record."""
        entries = []
        for path in paths:
            documents = read_documents(Path(path), field)
            with progress(f"bits of {path}", len(documents)) as advance:
                score = self.score_documents(documents, advance)
            entries.append(
                {
                    "id": Path(path).name,
                    "documents": len(documents),
                    "chars": sum(score.chars),
                    "bytes": sum(score.bytes),
                    "tokens": sum(score.tokens),
                    "bits_per_char": score.bits_per_char,
                    "bits_per_byte": score.bits_per_byte,
                    "bits_per_end": score.bits_per_end,
                }
            )
        return entries

    def samples(self, prompts: Sequence[str], *, max_chars: int, repetition_penalty: float) -> list[str]:
        """Greedy continuations of a few prompts."""
        texts: list[str] = continue_prompts(
            self.model,
            self.side.tokenizer.encode,
            self.side.tokenizer.runtime.decode,
            prompts,
            prefix=self.side.starts.document,
            max_chars=max_chars,
            repetition_penalty=repetition_penalty,
            stop_ids=self.side.stop_ids,
        )
        return texts


def load_model(
    folder: Path,
    dtype: str = "auto",
    processes: Processes = ALONE,
    *,
    name: str | None = None,
    document_start: str | None = None,
    document_end: str | None = None,
    adapter: Path | None = None,
    tokenizer_folder: Path | None = None,
) -> EvaluatedModel:
    """A Hugging Face model folder, checked, on the GPU where there is one. `document_start` and `document_end`: see `text_side`.

    Args:
        adapter: folder of an adapter on the model.
        tokenizer_folder: folder of its tokenizer, where it is not the model's.

    Raises:
        InputError: a folder without a tokenizer, or one whose tokenizer has ids that the embedding lacks.
    """
    side = text_side(tokenizer_folder or folder, document_start, document_end)
    tokenizer, precision = side.tokenizer, resolve_precision(dtype)
    model = load_causal(folder, precision, adapter)
    if tokenizer.vocab_size > model.vocab_size:
        raise InputError(
            f"{folder}: the tokenizer has {tokenizer.vocab_size:,} tokens, and the embedding {model.vocab_size:,} rows; they do not belong together"
        )
    hardware = "cpu"
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        model.to(device)
        if (whole := whole_of(model.base)) is not None:
            whole.to(device)
        hardware = torch.cuda.get_device_name(device)
    description = {
        "name": name or model_name(folder),
        "vocab_size": model.vocab_size,
        "parameters": sum(parameter.numel() for parameter in model.base.parameters()),
        "dtype": str(precision).removeprefix("torch."),
        "device": hardware,
        **side.description,
    }
    engine = LocalEngine(model, tokenizer.runtime.decode, stop_ids=side.stop_ids, decode_marked=tokenizer.decode, processes=processes)
    whole = whole_of(model.base)
    eyes = None if whole is None else ModelEyes(model, whole, folder, tokenizer.encode, tokenizer.runtime.id_to_token)
    return EvaluatedModel(TokenBackend.of(engine, side, eyes=eyes), description, model, side)
