"""The commands `tokenizer extend`, `verify` and `compare`: files in, a tokenizer folder or a report out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import UsageError
from jp_adapt.core.files import new_folder, refuse_existing, write_json, write_text
from jp_adapt.core.hashes import sha256_file
from jp_adapt.corpus.hub import iter_hub_documents
from jp_adapt.corpus.sources import expand_paths, first_chars, iter_documents
from jp_adapt.model.embedding_rows import check_embedding_rows
from jp_adapt.model.sources import TOKENIZER_FILES, download
from jp_adapt.report.tokenizer_page import comparison_page, extension_page, verification_page
from jp_adapt.text.scripts import script_of
from jp_adapt.tokenizer.bpe import text_of
from jp_adapt.tokenizer.extend import Boundaries, Extension, check_extendable, extend_tokenizer
from jp_adapt.tokenizer.load import SPEC, LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.measure import measure_tokenizer, segment
from jp_adapt.tokenizer.save import extended_config, save_tokenizer
from jp_adapt.tokenizer.verify import Criterion, check_criteria, verify_tokenizer
from jp_adapt.tokenizer.words import Corpus

Report = dict[str, Any]
CHECKED_CHARS = 2_000_000  # of each source: the criteria and measures of a build read that much of it
SAMPLE_CHARS = 60
NUM_SAMPLES = 6
MOST_USED = 60
USE_STEPS = (0, 1, 5, 25, 100, 500, 2500)
HUB = "hub:"


@dataclass(frozen=True)
class ExtendOptions:
    """What `tokenizer extend` may be told besides base, corpora, number and folder."""

    weights: tuple[float, ...] = ()
    boundaries: Boundaries = "none"
    max_token_chars: int = 12
    min_count: int = 2
    cover: bool = True
    pad_to: int = 1
    field: str = "text"
    unchanged: tuple[str, ...] = ()


def load_base(base: str) -> tuple[LoadedTokenizer, Path]:
    """A tokenizer of a local folder or file, or of a hub repository pinned as ORG/NAME@REVISION; with the path that it was read from."""
    path = Path(base)
    if "@" in base and not path.exists():
        name, _, revision = base.partition("@")
        path = download(name, revision, TOKENIZER_FILES)
    return load_tokenizer(path), path


def extend(base: str, corpora: Sequence[str], num_tokens: int, out: Path, options: ExtendOptions) -> Report:
    """Extend a tokenizer, check every criterion, and write the folder `out`; GateError, and no folder, where one does not hold."""
    refuse_existing(out)
    loaded, path = load_base(base)
    base_folder = loaded.folder or (path.parent if path.name == SPEC else None)
    check_extendable(loaded.tokenizer, str(path), num_tokens)
    extended_config(loaded, 0, base_folder)  # what is wrong with it is said before the work
    unused_rows = 0 if base_folder is None else check_embedding_rows(base_folder, loaded.tokenizer.vocab_size)
    sources = expand_corpora(corpora)
    weights = options.weights or (1.0,) * len(sources)
    if len(weights) != len(sources):
        raise UsageError(f"--weights has {len(weights)} numbers, and there are {len(sources)} corpora; give one for each, in the same order")
    unchanged = [text for source in expand_corpora(options.unchanged) for text in first_chars(read_source(source, options.field), CHECKED_CHARS)]
    corpus, kept = Corpus(), {}
    for source, weight in zip(sources, weights, strict=True):
        head: list[str] = []
        corpus.add(source, _keep_head(read_source(source, options.field), head), weight)
        kept[source] = head
    extension = extend_tokenizer(
        loaded.tokenizer,
        corpus,
        num_tokens,
        min_count=options.min_count,
        max_token_chars=options.max_token_chars,
        boundaries=options.boundaries,
        cover=options.cover,
    )
    japanese = [text for head in kept.values() for text in head]
    with new_folder(out) as target:
        save_tokenizer(loaded, extension, base_folder, target)
        criteria = verify_tokenizer(loaded, load_tokenizer(target), japanese=japanese, unchanged=unchanged)  # what was written is what is checked
        check_criteria(criteria)
        report = _extension_report(loaded, path, corpus, extension, criteria, kept, options, unused_rows)
        write_json(target / "report.json", report)
        write_text(target / "report.html", extension_page(report))
    return report


def verify(base: str, extended: str, texts: Sequence[str], field: str = "text") -> Report:
    """Check every criterion on any two tokenizers."""
    (old, old_path), (new, new_path) = load_base(base), load_base(extended)
    documents = [text for source in expand_corpora(texts) for text in first_chars(read_source(source, field), CHECKED_CHARS)]
    criteria = verify_tokenizer(old, new, japanese=documents, unchanged=documents)
    return {
        "format": 1,
        "base": _describe(old, old_path),
        "extended": _describe(new, new_path),
        "texts": list(texts),
        "criteria": [asdict(criterion) for criterion in criteria],
        "holds": all(criterion.holds for criterion in criteria),
    }


def compare(tokenizers: Sequence[str], texts: Sequence[str], field: str = "text") -> Report:
    """Measure tokenizers side by side on each text source."""
    loaded = [load_base(name) for name in tokenizers]
    names = _short_names(tokenizers)
    sources = expand_corpora(texts)
    rows = []
    for source in sources:
        documents = first_chars(read_source(source, field), CHECKED_CHARS)
        words: int | None = None  # the same for every tokenizer
        for name, (tokenizer, _) in zip(names, loaded, strict=True):
            measure = measure_tokenizer(tokenizer.tokenizer, documents, words=words)
            words = measure.words
            rows.append({"tokenizer": name, "source": source, "measure": measure.as_dict()})
    described = [{"name": name, **_describe(tokenizer, path)} for name, (tokenizer, path) in zip(names, loaded, strict=True)]
    return {"format": 1, "tokenizers": described, "sources": sources, "rows": rows}


def write_page(report: Report, out: Path) -> None:
    """report.json and report.html of a verification or a comparison, in a new folder."""
    page = comparison_page(report) if "rows" in report else verification_page(report)
    with new_folder(out) as target:
        write_json(target / "report.json", report)
        write_text(target / "report.html", page)


def expand_corpora(corpora: Sequence[str]) -> list[str]:
    """Corpora as given, with patterns of file names filled in; hub data sets (hub:NAME@REVISION) as they are."""
    found: list[str] = []
    for corpus in corpora:
        found += [corpus] if corpus.startswith(HUB) else [str(path) for path in expand_paths([corpus])]
    return list(dict.fromkeys(found))


def read_source(source: str, field: str) -> Iterator[str]:
    """The documents of a file, or of a hub data set hub:NAME@REVISION[:SPLIT]."""
    if not source.startswith(HUB):
        return iter_documents(Path(source), field)
    name, _, revision = source.removeprefix(HUB).partition("@")
    revision, _, split = revision.partition(":")
    if not name or not revision:
        raise UsageError(f"{source}: a hub data set needs a pinned revision: hub:NAME@REVISION")
    return iter_hub_documents(name, revision, split or "train", field)


def _keep_head(documents: Iterable[str], head: list[str]) -> Iterator[str]:
    """Pass `documents` on, and put the first of them, up to CHECKED_CHARS, into `head`."""
    chars = 0
    for text in documents:
        if chars < CHECKED_CHARS:
            head.append(text)
            chars += len(text)
        yield text


def _describe(loaded: LoadedTokenizer, path: Path) -> Report:
    return {"path": str(path), "family": loaded.tokenizer.family, "vocab_size": loaded.tokenizer.vocab_size}


def _short_names(paths: Sequence[str]) -> list[str]:
    """The last part of each path, or the whole of it where two would be the same."""
    last = [Path(path).name or path for path in paths]
    return last if len(set(last)) == len(last) else list(paths)


def _extension_report(
    base: LoadedTokenizer,
    path: Path,
    corpus: Corpus,
    extension: Extension,
    criteria: Sequence[Criterion],
    kept: dict[str, list[str]],
    options: ExtendOptions,
    unused_rows: int,
) -> Report:
    size = extension.vocab_size
    rows = max(size, base.tokenizer.vocab_size + unused_rows)
    learned = list(zip(extension.tokens, extension.counts, extension.sources, strict=True))[len(base.tokenizer.missing_bytes) :]
    return {
        "format": 1,
        "base": _describe(base, path) | {"sha256": sha256_file(base.files[0]), "unused_rows": unused_rows},
        "extension": {
            "new_tokens": len(learned),
            "added_bytes": len(base.tokenizer.missing_bytes),
            "vocab_size": size,
            "padded_vocab_size": -(-rows // options.pad_to) * options.pad_to,
            "boundaries": options.boundaries,
            "max_token_chars": options.max_token_chars,
            "min_count": options.min_count,
            "normalisation": "none",
        },
        "corpus": [
            {"source": name, "documents": documents, "chars": chars, "repeated_lines": repeated, "weight": weight}
            for name, documents, chars, repeated, weight in zip(
                corpus.names, corpus.documents, corpus.chars, corpus.repeated_lines, corpus.weights, strict=True
            )
        ],
        "criteria": [asdict(criterion) for criterion in criteria],
        **_what_was_added(base, extension, learned),
        "measures": [{"source": source, **_measures(base, extension, head)} for source, head in kept.items()],
        "samples": [_sample(base, extension, text) for text in _sample_texts(kept)],
    }


def _measures(base: LoadedTokenizer, extension: Extension, texts: list[str]) -> Report:
    before = measure_tokenizer(base.tokenizer, texts)
    return {"base": before.as_dict(), "extended": measure_tokenizer(extension.tokenizer, texts, words=before.words).as_dict()}


def _what_was_added(base: LoadedTokenizer, extension: Extension, learned: list[tuple[bytes, int, list[int]]]) -> Report:
    scripts: dict[str, Counter[str]] = {"tokens": Counter(), "uses": Counter()}
    lengths: dict[str, Counter[int]] = {"tokens": Counter(), "uses": Counter()}
    by_use: Counter[int] = Counter()
    for token, count, _ in learned:
        script, chars = _script(token), len(token.decode("utf-8", errors="ignore").removeprefix(" "))
        scripts["tokens"][script] += 1
        scripts["uses"][script] += count
        lengths["tokens"][chars] += 1
        lengths["uses"][chars] += count
        by_use[max(step for step in USE_STEPS if step <= count)] += 1
    ranked = sorted(enumerate(learned, start=extension.first_new_id + len(base.tokenizer.missing_bytes)), key=lambda item: -item[1][1])
    return {
        "by_script": [{"script": name, "tokens": number, "uses": scripts["uses"][name]} for name, number in scripts["tokens"].most_common()],
        "by_length": [{"chars": chars, "tokens": number, "uses": lengths["uses"][chars]} for chars, number in sorted(lengths["tokens"].items())],
        "by_use": [{"at_least": step, "tokens": by_use[step]} for step in USE_STEPS],
        "most_used": [
            {
                "id": token_id,
                "token": token.decode("utf-8", errors="replace"),
                "count": count,
                "sources": [_readable(base.tokenizer.token_bytes[source]) for source in sources],
            }
            for token_id, (token, count, sources) in ranked[:MOST_USED]
        ],
    }


def _script(token: bytes) -> str:
    text = text_of(token)
    if text is None:
        return "partial"
    scripts = {script_of(char) for char in text.removeprefix(" ")}
    return str(scripts.pop()) if len(scripts) == 1 else "mixed"


def _readable(token: bytes) -> str:
    text = text_of(token)
    return token.hex().upper() if text is None else text


def _sample_texts(kept: dict[str, list[str]]) -> list[str]:
    """The first long Japanese line of each source, cut to a readable length."""
    found = []
    for head in kept.values():
        lines = (line.strip() for text in head for line in text.splitlines())
        line = next((line for line in lines if len(line) >= SAMPLE_CHARS and sum(script_of(char) is not None for char in line) * 2 > len(line)), None)
        found += [line[:SAMPLE_CHARS]] if line else []
    return found[:NUM_SAMPLES]


def _sample(base: LoadedTokenizer, extension: Extension, text: str) -> Report:
    first = extension.first_new_id
    return {
        "text": text,
        "base": [asdict(chip) for chip in segment(base.tokenizer, text, first)],
        "extended": [asdict(chip) for chip in segment(extension.tokenizer, text, first)],
    }
