"""The tokens around every document of a run: one answer for training, chat templates, evaluation, merging and what leaves."""

from __future__ import annotations

from pathlib import Path

from jp_adapt.core.errors import InputError
from jp_adapt.inference.text_side import Facts, read_facts, special_token, write_text_side
from jp_adapt.recipe.schema import Base
from jp_adapt.text.document_ends import document_end as default_end
from jp_adapt.tokenizer.encoder import special_ids


def document_start(base: Base, folder: Path) -> str:
    """The token that stands before every document: the recipe's, else the own one of the base in `folder`. Without a BOS (Qwen): what ends the one before."""
    return base.document_start or _facts(base, folder).document_start or special_token(folder, "bos_token") or document_end(base, folder)


def document_end(base: Base, folder: Path) -> str:
    """The token that ends every document: the recipe's, else the base's own. InputError where neither names one."""
    text = base.document_end or _facts(base, folder).document_end or default_end(special_token(folder, "eos_token"), special_ids(folder))
    if text is None:
        raise InputError(f"{folder}: the tokenizer names no eos_token; say in the recipe which token ends a document: base.document_end")
    return text


def write_base_tokens(base: Base, folder: Path) -> None:
    """Let the folder that a run made of its base say the tokens of the run; of one that says them already nothing is written."""
    start, end, facts = document_start(base, folder), document_end(base, folder), read_facts(folder)
    if (facts.document_start, facts.document_end) != (start, end):
        write_text_side(folder, start, end)


def _facts(base: Base, folder: Path) -> Facts:
    """What the base says itself: a folder that a run made of a GGUF file says what the recipe said when it was made."""
    return read_facts(folder) if base.file is None else Facts()
