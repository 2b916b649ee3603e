"""Commands for a call from Python, with recipes by name and paths as text: what the command line parses stands in the arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jp_adapt.commands.corpus import prepare, stats
from jp_adapt.commands.tokenizer import ExtendOptions, compare, extend
from jp_adapt.core.given import several
from jp_adapt.recipe.load_corpus import load_corpus
from jp_adapt.report.corpus_report import CorpusReport
from jp_adapt.report.tokenizer_report import ComparisonReport, ExtensionReport


def prepare_corpus(recipe: str | Path, out: str | Path, overrides: str | Sequence[str] = (), *, processes: int = 1) -> CorpusReport:
    """Make the token shards of a corpus recipe in the folder `out`, as `jp-adapt corpus prepare` does; one that is there already is only reported.

    Args:
        recipe: name of a shipped corpus recipe, or path of one.
        overrides: `KEY=VALUE` settings that win over the recipe.

    Raises:
        UsageError: the recipe is wrong. InputError: a text is missing or wrong.
    """
    return prepare(load_corpus(recipe, overrides), Path(out), processes)


def corpus_stats(folder: str | Path) -> CorpusReport:
    """What a prepared corpus holds. InputError where its files are not those of its index."""
    return stats(Path(folder))


def build_tokenizer(base: str | Path, corpora: str | Sequence[str], num_tokens: int | None, out: str | Path, **options: Any) -> ExtensionReport:
    """Extend a tokenizer from files into the new folder `out`, as `jp-adapt tokenizer extend` does: every criterion is checked.

    Args:
        base: folder or file of a tokenizer, or ORG/NAME@REVISION of the hub.
        corpora: files of Japanese text, or patterns of these.
        num_tokens: how many tokens to add; None: as many as the texts can teach.
        options: fields of `ExtendOptions`: heldout, unchanged, field, boundaries, max_token_chars, min_count, cover, weights, pad_to.

    Raises:
        InputError: as of `extend_tokenizer`. GateError: a criterion does not hold; nothing was written. UsageError: `out` exists.
    """
    return extend(str(base), several(corpora), num_tokens, Path(out), ExtendOptions(**options))


def compare_tokenizers(tokenizers: str | Path | Sequence[str | Path], texts: str | Sequence[str], field: str = "text") -> ComparisonReport:
    """Measure tokenizers of any family side by side on files of text, as `jp-adapt tokenizer compare` does."""
    return compare(several(tokenizers), several(texts), field)
