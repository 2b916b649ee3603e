"""Held-out documents that stand in a training text, too: what is measured on them says nothing of new text."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping

from jp_adapt.recipe.schema import EvaluateStage, Recipe, TrainingStage


def document_keys(documents: Iterable[str]) -> frozenset[bytes]:
    """What tells documents apart: their text, whatever their ids, white space and widths of characters are."""
    return frozenset(hashlib.blake2b("".join(unicodedata.normalize("NFKC", text).split()).encode("utf-8"), digest_size=8).digest() for text in documents)


def trained_and_measured(recipe: Recipe) -> tuple[list[str], list[str]]:
    """Names of the text sources that a stage trains on, and of those that one measures."""
    trained, measured = [], []
    for stage in recipe.stages:
        if isinstance(stage, TrainingStage):
            trained += [item.source for item in stage.data]
            measured += stage.heldout
        elif isinstance(stage, EvaluateStage):
            measured += stage.texts
    return list(dict.fromkeys(trained)), list(dict.fromkeys(measured))


def repeated_documents(recipe: Recipe, keys: Mapping[str, frozenset[bytes]]) -> list[str]:
    """A line for each measured source of which documents stand in another source that is trained on; `keys` has the documents of the sources that were read.

    Of a source that a recipe names for both nothing is said: there it stands to be read.
    """
    trained, measured = trained_and_measured(recipe)
    lines = []
    for name in measured:
        for other in trained:
            both = len(keys.get(name, frozenset()) & keys.get(other, frozenset()))
            if both and name not in trained:
                repeated = f"{both:,} of its {len(keys[name]):,} documents stand in '{other}', which is trained on"
                lines.append(f"source '{name}' is measured, and {repeated}: its figures do not tell how the model reads new text")
    return lines
