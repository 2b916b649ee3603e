"""What a stage may ask of its run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from jp_adapt.commands.source_parts import SourcePart, read_texts
from jp_adapt.core.errors import InputError
from jp_adapt.pipeline.run_folder import StageFolder, StageRecord
from jp_adapt.recipe.document_tokens import document_end, document_start
from jp_adapt.recipe.schema import Recipe, Stage

Results = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """What every stage may need: the recipe, the base's folder, and the folders of the stages."""

    recipe: Recipe
    base: Path
    stage_folder: Callable[[str], StageFolder]
    trackers: tuple[str, ...] = ()

    def documents(self, source: str, part: SourcePart = "training") -> list[str]:
        """The documents of a source of the recipe: all of them, or, where it holds some out, those to train on or the held-out ones."""
        return read_texts(self.recipe.sources[source], part)

    def stage(self, stage_id: str) -> Stage:
        return next(stage for stage in self.recipe.stages if stage.id == stage_id)

    def ancestors(self, stage_id: str) -> list[str]:
        """The stage `stage_id` and those it started from, the earliest first."""
        if stage_id == "base":
            return []
        before = [ancestor for start in self.stage(stage_id).upstream for ancestor in self.ancestors(start)]
        return [*dict.fromkeys(before), stage_id]

    def records(self, stage_id: str) -> list[StageRecord]:
        """What the stage `stage_id` and those it started from wrote down of themselves, the earliest first."""
        return [record for ancestor in self.ancestors(stage_id) if (record := self.stage_folder(ancestor).record()) is not None]

    def tokenizer_folder(self, stage_id: str) -> Path:
        """Folder of the tokenizer that the stage `stage_id` (or "base") works with."""
        while stage_id != "base":
            stage = self.stage(stage_id)
            if stage.own_tokenizer:
                return self.stage_folder(stage_id).final
            (stage_id,) = stage.upstream
        return self.base

    def model_folder(self, name: str) -> Path:
        """Folder of a plain model: the base, or what an export stage wrote."""
        return self.base if name == "base" else self.stage_folder(name).final

    def prefix_id(self, tokenizer: Tokenizer) -> int:
        """Id of the token that stands before every document. InputError where the tokenizer lacks it."""
        text = self.document_start
        token_id = tokenizer.token_to_id(text)
        if token_id is None:
            source = "base.document_start" if self.recipe.base.document_start else "the token that begins a document"
            raise InputError(f"{source} is '{text}', and the tokenizer of {self.base} has no such token")
        return int(token_id)

    @property
    def document_start(self) -> str:
        """The token that stands before every document."""
        return document_start(self.recipe.base, self.base)

    def end_id(self, tokenizer: Tokenizer) -> int:
        """Id of the token that ends every document. InputError where the tokenizer lacks it."""
        text = self.document_end
        token_id = tokenizer.token_to_id(text)
        if token_id is None:
            source = "base.document_end" if self.recipe.base.document_end else "the token that ends a document"
            raise InputError(f"{source} is '{text}', and the tokenizer of {self.base} has no such token")
        return int(token_id)

    @property
    def document_end(self) -> str:
        """The token that ends every document."""
        return document_end(self.recipe.base, self.base)
