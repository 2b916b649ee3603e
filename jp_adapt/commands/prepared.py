"""A prepared corpus as a source of a training recipe: `path:` names the folder that `corpus prepare` wrote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jp_adapt.core.errors import InputError
from jp_adapt.core.progress import say
from jp_adapt.corpus.sources import iter_documents

if TYPE_CHECKING:
    from jp_adapt.corpus.pack import Documents


@dataclass(frozen=True)
class Prepared:
    """The sources of a prepared corpus, as a training plan takes them: documents and weight of each, the most epochs, and characters per token."""

    sources: dict[str, tuple[Documents, float]]
    max_epochs: dict[str, float]
    chars_per_token: float


def is_prepared(path: Path) -> bool:
    return (path / "index.json").is_file()


def hashed_file(path: Path) -> Path:
    """The file whose hash stands for an input: of a prepared corpus its index, which holds the hashes of its shards."""
    return path / "index.json" if is_prepared(path) else path


def open_prepared(folder: Path, name: str, weight: float, tokenizer_sha256: str, document_end: int) -> Prepared:
    """The sources of a prepared corpus, which share `weight` as its mixture says; they are called NAME/SOURCE.

    One that an earlier version wrote is read as it was: its documents have no end, and that is said.

    Raises:
        InputError: it holds no tokens, or those of another tokenizer, or its documents end with another token than `document_end`.
    """
    from jp_adapt.commands.corpus import declared_recipe, mixture_shares
    from jp_adapt.corpus.shards import NO_END, TokenShards  # numpy and tokenizers are imported behind this line, and `check` needs neither

    shards = TokenShards(folder)
    digest = shards.index["identity"]["tokenizer"]
    if digest != tokenizer_sha256:
        made = (
            "holds texts and no tokens" if digest is None else f"was made with another tokenizer ({digest[:12]}…, and this stage has {tokenizer_sha256[:12]}…)"
        )
        raise InputError(f"{folder}: {made}; prepare it again with -s tokenizer=FOLDER, the folder of the tokenizer that this stage works with")
    if shards.document_end is None:
        say(f"{folder}: {NO_END}; read as it was. To train on the ends too, prepare it again")
    elif shards.document_end != document_end:
        raise InputError(
            f"{folder}: its documents end with token {shards.document_end}, and those of this stage with token {document_end}; "
            "say the same token in both recipes: document_end in the corpus recipe, base.document_end here"
        )
    recipe = declared_recipe(shards)
    figures = {source["name"]: source for source in shards.index["sources"] if source["tokens"]}
    shares = mixture_shares(recipe, {source: figure["tokens"] for source, figure in figures.items()})
    sources: dict[str, tuple[Documents, float]] = {f"{name}/{source}": (shards.documents(source), weight * share) for source, share in shares.items()}
    most = {f"{name}/{source}": number for source, number in recipe.mixture.max_epochs.items() if source in figures}
    first = figures[next(iter(shares))]
    return Prepared(sources, most, first["characters"] / first["tokens"])


def prepared_texts(folder: Path) -> Iterator[str]:
    """The texts of a prepared corpus. InputError where it was made without."""
    path = folder / "texts.jsonl.zst"
    if not path.is_file():
        raise InputError(f"{folder}: holds tokens and no texts, which are read here; prepare it with 'texts: true'")
    return iter_documents(path)
