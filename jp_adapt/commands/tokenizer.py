"""The commands `tokenizer extend`, `verify` and `compare`: files in, a tokenizer folder or a report out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jp_adapt.commands.tokenizer_sizes import Learning, SizesReport, hold_out, sizes_report, sweep_sizes
from jp_adapt.core.documents import Document
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import new_folder, refuse_existing, write_text
from jp_adapt.core.given import at_least, several
from jp_adapt.core.hashes import sha256_file
from jp_adapt.core.names import distinct_tails
from jp_adapt.core.progress import say
from jp_adapt.corpus.hub import iter_hub_documents
from jp_adapt.corpus.sources import expand_paths, first_chars, iter_documents
from jp_adapt.model.embedding_rows import check_embedding_rows
from jp_adapt.model.sources import TOKENIZER_FILES, download
from jp_adapt.report.tokenizer_page import comparison_page, extension_page, verification_page
from jp_adapt.report.tokenizer_report import (
    PAGE,
    REPORT,
    BaseFacts,
    ComparedSource,
    ComparisonReport,
    CorpusFacts,
    CutSentence,
    ExtensionFacts,
    ExtensionReport,
    LearnedToken,
    LengthCount,
    MeasureFigures,
    ScriptCount,
    SourceMeasures,
    TokenizerFacts,
    UseCount,
    VerificationReport,
)
from jp_adapt.text.scripts import script_of
from jp_adapt.tokenizer.bpe import text_of
from jp_adapt.tokenizer.extend import Boundaries, Extension, check_extendable, extend_tokenizer, least_count
from jp_adapt.tokenizer.load import SPEC, LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.measurable import load_measurable
from jp_adapt.tokenizer.measure import Measure, measure_tokenizer, segment, token_script
from jp_adapt.tokenizer.save import extended_config, save_tokenizer
from jp_adapt.tokenizer.verify import Criterion, check_criteria, verify_tokenizer
from jp_adapt.tokenizer.words import Corpus

Learned = list[tuple[bytes, int, list[int]]]  # (token, count, ids of the base that spelled it)
CHECKED_CHARS = 2_000_000  # of each source: the criteria and measures of a build read that much of it
SAMPLE_CHARS = 60
NUM_SAMPLES = 6
MOST_USED = 60
USE_STEPS = (0, 1, 5, 25, 100, 500, 2500)
HUB = "hub:"
HELD_OUT = " (held out)"  # behind the name of a text that no token was learned from


@dataclass(frozen=True)
class ExtendOptions:
    """What `tokenizer extend` may be told besides base, corpora, number and folder."""

    weights: tuple[float, ...] = ()
    boundaries: Boundaries = "none"
    max_token_chars: int = 12
    min_count: int | None = None
    cover: bool = True
    pad_to: int = 1
    field: str = "text"
    unchanged: tuple[str, ...] = ()
    heldout: tuple[str, ...] = ()


def load_base(base: str) -> tuple[LoadedTokenizer, Path]:
    """A tokenizer of a local folder or file, or of a hub repository pinned as ORG/NAME@REVISION; with the path that it was read from."""
    path = local_tokenizer(base)
    return load_tokenizer(path), path


def local_tokenizer(name: str) -> Path:
    """Where a tokenizer lies: a local path as it is, ORG/NAME@REVISION of the hub after its download."""
    path = Path(name)
    if "@" in name and not path.exists():
        name, _, revision = name.partition("@")
        path = download(name, revision, TOKENIZER_FILES)
    return path


def extend(base: str, corpora: Sequence[str], num_tokens: int | None, out: Path, options: ExtendOptions) -> ExtensionReport:
    """Extend a tokenizer, check every criterion, and write the folder `out`; GateError, and no folder, where one does not hold."""
    refuse_existing(out)
    at_least("number of new tokens", num_tokens, 1)
    options = replace(options, min_count=least_count(num_tokens, options.min_count))
    loaded, path = load_base(base)
    base_folder = loaded.folder or (path.parent if path.name == SPEC else None)
    check_extendable(loaded.tokenizer, str(path), num_tokens or 1)
    for change in extended_config(loaded, base_folder).changes:  # what is wrong with it is an error before the work
        say(f"tokenizer_config.json: {change}")
    unused_rows = 0 if base_folder is None else check_embedding_rows(base_folder, loaded.tokenizer.vocab_size)
    sources = expand_corpora(corpora)
    weights = _weights(options, sources)
    unchanged = [text for source in expand_corpora(options.unchanged) for text in first_chars(read_source(source, options.field), CHECKED_CHARS)]
    corpus, kept, measured = _read_corpora(sources, weights, options)
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
        report = replace(report, measures=[_measures(loaded, extension, name, texts) for name, texts in measured.items()])
        _write(report, extension_page(report), target)
    return report


def sweep(
    base: str,
    corpora: Sequence[str],
    sizes: Sequence[int],
    options: ExtendOptions,
    *,
    budget: Callable[[int], int] | None = None,
    as_far_as_given: bool = False,
) -> SizesReport:
    """Extend a tokenizer by each of `sizes`, write nothing, and say what each gains on held-out text. Errors as of `extend`.

    Args:
        budget: tokens that a training with so many new ones will read of texts like the corpora.
        as_far_as_given: leave out sizes for which the corpora hold too little text, all but the smallest.
    """
    loaded, path = load_base(base)
    check_extendable(loaded.tokenizer, str(path), max(sizes))
    sources = expand_corpora(corpora)
    corpus, heldout = _corpus_and_heldout(sources, options)
    learning = Learning(options.min_count, options.max_token_chars, options.boundaries, options.cover)
    return sweep_sizes(loaded.tokenizer, corpus, heldout, sizes, learning, budget=budget, as_far_as_given=as_far_as_given)


def measured_alone(base: str, corpora: Sequence[str], options: ExtendOptions) -> SizesReport:
    """What `sweep` says of a tokenizer without an extension, of whatever family."""
    corpus, heldout = _corpus_and_heldout(expand_corpora(corpora), options)
    return sizes_report(load_measurable(local_tokenizer(base)), corpus, heldout, [])


def _corpus_and_heldout(sources: Sequence[str], options: ExtendOptions) -> tuple[Corpus, list[str]]:
    corpus, _, measured = _read_corpora(sources, _weights(options, sources), options)
    return corpus, [text for name, texts in measured.items() if name.endswith(HELD_OUT) for text in texts]


def _weights(options: ExtendOptions, sources: Sequence[str]) -> tuple[float, ...]:
    weights = options.weights or (1.0,) * len(sources)
    if len(weights) != len(sources):
        raise UsageError(f"--weights has {len(weights)} numbers, and there are {len(sources)} corpora; give one for each, in the same order")
    return weights


def _read_corpora(sources: Sequence[str], weights: Sequence[float], options: ExtendOptions) -> tuple[Corpus, dict[str, list[str]], dict[str, list[str]]]:
    """What tokens are learned from, the head of each source, and texts to measure by name: the named held-out files, else every twentieth document of a source,
    which is not learned from; of a source with fewer documents its head, which is."""
    corpus, kept = Corpus(), {}
    measured: dict[str, list[str]] = {}
    for source, name, weight in zip(sources, _source_names(sources), weights, strict=True):
        head: list[str] = []
        held: list[str] = []
        documents = read_source(source, options.field)
        corpus.add(source, _keep_head(documents if options.heldout else hold_out(documents, held, CHECKED_CHARS), head), weight)
        kept[source] = head
        measured |= {f"{name}{HELD_OUT}": held} if held else {name: head}
    if options.heldout:
        files = expand_corpora(options.heldout)
        if learned := {Path(file).resolve() for file in files} & {Path(source).resolve() for source in sources}:
            raise UsageError(
                f"--heldout {min(learned)}: is learned from as well; give text of its own, or leave --heldout out: every 20th document is held out"
            )
        names = _source_names(files)
        measured = {f"{name}{HELD_OUT}": first_chars(read_source(file, options.field), CHECKED_CHARS) for file, name in zip(files, names, strict=True)}
        for file, texts in zip(files, measured.values(), strict=True):
            if not any(script_of(char) for text in texts for char in text):
                raise InputError(f"{file}: holds no Japanese character; --heldout takes Japanese text, to measure what the new tokens gain")
    return corpus, kept, measured


def verify(base: str, extended: str, texts: Sequence[str], field: str = "text") -> VerificationReport:
    """Check every criterion on any two tokenizers."""
    (old, _), (new, _) = load_base(base), load_base(extended)
    sources = expand_corpora(texts)
    documents = [text for source in sources for text in first_chars(read_source(source, field), CHECKED_CHARS)]
    criteria = verify_tokenizer(old, new, japanese=documents, unchanged=documents)
    old_name, new_name = distinct_tails([base, extended])
    holds = all(criterion.holds for criterion in criteria)
    return VerificationReport(_facts(old, old_name), _facts(new, new_name), _source_names(sources), criteria, holds)


def compare(tokenizers: Sequence[str], texts: Sequence[str], field: str = "text") -> ComparisonReport:
    """Measure tokenizers of any family side by side on each text source."""
    if not tokenizers:
        raise UsageError("no tokenizer is named; give one or more")
    loaded = [load_measurable(local_tokenizer(name)) for name in tokenizers]
    names, sources = distinct_tails(tokenizers), expand_corpora(texts)
    rows = []
    for source, source_name in zip(sources, _source_names(sources), strict=True):
        documents = first_chars(read_source(source, field), CHECKED_CHARS)
        words: int | None = None  # the same for every tokenizer
        for name, tokenizer in zip(names, loaded, strict=True):
            measure = measure_tokenizer(tokenizer, documents, words=words)
            words = measure.words
            rows.append(ComparedSource(name, source_name, _figures(measure)))
    facts = [TokenizerFacts(name, tokenizer.family, tokenizer.vocab_size) for name, tokenizer in zip(names, loaded, strict=True)]
    return ComparisonReport(facts, _source_names(sources), rows)


def write_page(report: VerificationReport | ComparisonReport, out: Path) -> None:
    """report.json and report.html of a verification or a comparison, in a new folder."""
    page = comparison_page(report) if isinstance(report, ComparisonReport) else verification_page(report)
    with new_folder(out) as target:
        _write(report, page, target)


def _write(report: Document, page: str, folder: Path) -> None:
    report.write(folder / REPORT)
    write_text(folder / PAGE, page)


def expand_corpora(corpora: str | Sequence[str]) -> list[str]:
    """Corpora as given, with patterns of file names filled in; hub data sets (hub:NAME@REVISION) as they are."""
    results: list[str] = []
    for corpus in several(corpora):
        results += [corpus] if corpus.startswith(HUB) else [str(path) for path in expand_paths([corpus])]
    return list(dict.fromkeys(results))


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


def _facts(loaded: LoadedTokenizer, name: str) -> TokenizerFacts:
    return TokenizerFacts(name, loaded.tokenizer.family, loaded.tokenizer.vocab_size)


def _figures(measure: Measure) -> MeasureFigures:
    return MeasureFigures(**measure.as_dict())  # type: ignore[arg-type]


def _source_names(sources: Sequence[str]) -> list[str]:
    """The sources as a report names them: hub data sets as they are, files by as much of their path as tells them apart."""
    files = [source for source in sources if not source.startswith(HUB)]
    names = dict(zip(files, distinct_tails(files), strict=True))
    return [names.get(source, source) for source in sources]


def _extension_report(
    base: LoadedTokenizer,
    path: Path,
    corpus: Corpus,
    extension: Extension,
    criteria: Sequence[Criterion],
    kept: dict[str, list[str]],
    options: ExtendOptions,
    unused_rows: int,
) -> ExtensionReport:
    size = extension.vocab_size
    rows = max(size, base.tokenizer.vocab_size + unused_rows)
    learned = list(zip(extension.tokens, extension.counts, extension.sources, strict=True))[len(base.tokenizer.missing_bytes) :]
    names = dict(zip(kept, _source_names(list(kept)), strict=True))
    sources = zip(corpus.names, corpus.documents, corpus.chars, corpus.repeated_lines, corpus.weights, strict=True)
    return ExtensionReport(
        base=BaseFacts(distinct_tails([str(path)])[0], base.tokenizer.family, base.tokenizer.vocab_size, sha256_file(base.files[0]), unused_rows),
        extension=ExtensionFacts(
            new_tokens=len(learned),
            added_bytes=len(base.tokenizer.missing_bytes),
            vocab_size=size,
            padded_vocab_size=-(-rows // options.pad_to) * options.pad_to,
            boundaries=options.boundaries,
            max_token_chars=options.max_token_chars,
            min_count=options.min_count or 0,
        ),
        corpus=[CorpusFacts(names[name], documents, chars, repeated, weight) for name, documents, chars, repeated, weight in sources],
        criteria=list(criteria),
        by_script=_by_script(learned),
        by_length=_by_length(learned),
        by_use=_by_use(learned),
        most_used=_most_used(base, learned, extension.first_new_id + len(base.tokenizer.missing_bytes)),
        measures=[],
        samples=[_sample(base, extension, text) for text in _sample_texts(kept)],
    )


def _measures(base: LoadedTokenizer, extension: Extension, source: str, texts: list[str]) -> SourceMeasures:
    before = measure_tokenizer(base.tokenizer, texts)
    return SourceMeasures(source, _figures(before), _figures(measure_tokenizer(extension.tokenizer, texts, words=before.words)))


def _by_script(learned: Learned) -> list[ScriptCount]:
    tokens, uses = Counter[str](), Counter[str]()
    for token, count, _ in learned:
        script = token_script(token)
        tokens[script] += 1
        uses[script] += count
    return [ScriptCount(script, number, uses[script]) for script, number in tokens.most_common()]


def _by_length(learned: Learned) -> list[LengthCount]:
    tokens, uses = Counter[int](), Counter[int]()
    for token, count, _ in learned:
        chars = len(token.decode("utf-8", errors="ignore").removeprefix(" "))
        tokens[chars] += 1
        uses[chars] += count
    return [LengthCount(chars, number, uses[chars]) for chars, number in sorted(tokens.items())]


def _by_use(learned: Learned) -> list[UseCount]:
    steps = Counter(max(step for step in USE_STEPS if step <= count) for _, count, _ in learned)
    return [UseCount(step, steps[step]) for step in USE_STEPS]


def _most_used(base: LoadedTokenizer, learned: Learned, first_id: int) -> list[LearnedToken]:
    ranked = sorted(enumerate(learned, start=first_id), key=lambda item: -item[1][1])[:MOST_USED]
    return [
        LearnedToken(token_id, token.decode("utf-8", errors="replace"), count, [_readable(base.tokenizer.token_bytes[source]) for source in sources])
        for token_id, (token, count, sources) in ranked
    ]


def _readable(token: bytes) -> str:
    text = text_of(token)
    return token.hex().upper() if text is None else text


def _sample_texts(kept: dict[str, list[str]]) -> list[str]:
    """The first long Japanese line of each source, cut to a readable length."""
    results = []
    for head in kept.values():
        lines = (line.strip() for text in head for line in text.splitlines())
        line = next((line for line in lines if len(line) >= SAMPLE_CHARS and sum(script_of(char) is not None for char in line) * 2 > len(line)), None)
        results += [line[:SAMPLE_CHARS]] if line else []
    return results[:NUM_SAMPLES]


def _sample(base: LoadedTokenizer, extension: Extension, text: str) -> CutSentence:
    first = extension.first_new_id
    return CutSentence(text, segment(base.tokenizer, text, first), segment(extension.tokenizer, text, first))
