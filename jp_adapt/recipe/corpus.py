"""What a corpus recipe may say: sources, steps, tokenizer, mixture. Defaults live here and nowhere else."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from jp_adapt.benchmarks.part import Count, Licensed, Name, NotNegative, Part, Positive


class CorpusSource(Licensed):
    """Texts: local files (one document a line, a row, or a paragraph of .txt), or a dataset of the hub at a pinned revision, streamed."""

    EXAMPLE: ClassVar[str] = "{path: FILE, language: ja}"

    path: str | list[str] | None = Field(None, description="files, or patterns of files with * ? [ ] **, relative to the recipe")
    dataset: str | None = Field(None, description="id of a dataset of the hub")
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$", description="commit of the dataset, 40 hex digits")
    config: str | None = Field(None, description="configuration of the dataset")
    split: str = Field("train", description="split of the dataset")
    field: str = Field("text", description="the field of a line or the column of a row that holds the text")
    language: Literal["ja", "en", "code"] = Field(description="of the texts")
    license: str = Field("private", description="under which license the texts are")
    on_error: Literal["refuse", "skip"] = Field("refuse", description="a document that cannot be read stops everything, or is counted and left out")
    documents: Count | None = Field(None, description="read no more than so many documents")

    @model_validator(mode="after")
    def _one_way(self) -> CorpusSource:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("name one place: 'path' (local files) or 'dataset' (of the hub)")
        if self.dataset is not None and self.revision is None:
            raise ValueError("a hub dataset needs 'revision', the 40 hex digits of a commit, so that the corpus can be made again")
        return self


class Mixture(Part):
    """Shares of the training tokens: by `weights`, or in proportion to tokens ** (1 / temperature). Nothing said: as the sources are."""

    EXAMPLE: ClassVar[str] = "{weights: {NAME: 0.9}}"

    weights: dict[Name, NotNegative] = Field(default_factory=dict, description="source -> share of the tokens (divided by their sum)")
    temperature: Positive = Field(1.0, description="1 takes the sources as they are, a larger one brings them closer")
    max_epochs: dict[Name, NotNegative] = Field(default_factory=dict, description="source -> the most that it is read; the others fill the rest")

    @model_validator(mode="after")
    def _right(self) -> Mixture:
        if self.weights and self.temperature != 1.0:
            raise ValueError("give either 'weights' or 'temperature'")
        wrong = {name: number for part in (self.weights, self.max_epochs) for name, number in part.items() if number <= 0}
        if wrong:
            raise ValueError(f"{', '.join(f'{name}: {number}' for name, number in wrong.items())}: a weight or number of epochs is above 0")
        return self


class CorpusRecipe(Part):
    """A corpus recipe."""

    format: Literal[1] = Field(1, description="of the corpus recipe; there is one")
    name: Name = Field(description="name of the corpus")
    title: str = Field("", description="what its page is called")
    tokenizer: str | None = Field(None, description="folder with the tokenizer.json that makes the tokens; without one only texts are written")
    document_end: str | None = Field(
        None, description="token that ends every document; by default the tokenizer's EOS, or where that ends a turn of a chat, its token for the end of a text"
    )
    sources: dict[Name, CorpusSource] = Field(min_length=1, description="name -> texts to read")
    steps: list[dict[str, Any]] = Field(default_factory=list, description="what every document goes through, in order: {kind: NAME, its parameters}")
    deduplicate: Literal["none", "exact", "near"] = Field("near", description="which repeated documents are left out, after all steps")
    mixture: Mixture = Field(Mixture(), description="shares of the sources in training")
    shard_tokens: Count = Field(2**27, description="tokens of a shard, at least")
    texts: bool = Field(False, description="write the documents as texts.jsonl.zst too, for a tokenizer stage or to look at")

    @model_validator(mode="after")
    def _something(self) -> CorpusRecipe:
        if self.tokenizer is None and not self.texts:
            raise ValueError("say what to make: 'tokenizer: FOLDER' for token shards, 'texts: true' for clean texts, or both")
        if self.tokenizer is None and self.document_end is not None:
            raise ValueError("'document_end' names a token, and without 'tokenizer: FOLDER' no tokens are written")
        unknown = [name for name in (*self.mixture.weights, *self.mixture.max_epochs) if name not in self.sources]
        if unknown:
            raise ValueError(f"the mixture names '{unknown[0]}', which is not a source; sources: {', '.join(self.sources)}")
        if self.mixture.weights and (left := [name for name in self.sources if name not in self.mixture.weights]):
            raise ValueError(f"the mixture has no weight for '{left[0]}'; give every source one, or take it out")
        return self
