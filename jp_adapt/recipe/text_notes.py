"""What is no error in a recipe's texts and is seldom meant: no Japanese, one file as two sources, more new tokens than the text can teach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jp_adapt.recipe.schema import Recipe, TokenizerStage
from jp_adapt.text.scripts import JAPANESE

LEAST_CHARS = 20  # of text for each new token: with fewer, hardly one of them stands in it often enough to be learned


def text_notes(recipe: Recipe, texts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """A line for each of these; `texts` has the documents of the sources that were read, and of others nothing is said."""
    for name, documents in texts.items():
        if recipe.sources[name].language == "ja" and documents and not any(JAPANESE.search(text) for text in documents):
            yield f"source '{name}' is to be Japanese, and there is no Japanese character in it; is it the right file, in the right field?"
    seen: dict[Path, str] = {}
    for name, source in recipe.sources.items():
        if source.path and (first := seen.setdefault(Path(source.path).resolve(), name)) != name:
            yield f"sources '{first}' and '{name}' are the same file; its text counts twice"
    for stage in recipe.stages:
        if isinstance(stage, TokenizerStage) and stage.new_tokens is not None and all(name in texts for name in stage.corpus):
            chars = sum(len(text) for name in stage.corpus for text in texts[name])
            if chars < LEAST_CHARS * stage.new_tokens:
                yield f"stage '{stage.id}': {stage.new_tokens:,} new tokens from {chars:,} characters; the text can teach some {chars // LEAST_CHARS:,} at most"
