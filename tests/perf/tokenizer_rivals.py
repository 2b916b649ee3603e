"""Japanese characters per token on text of a source that was not trained on: ours against what others do, same text, same number of new tokens.

`python -m tests.perf tokenizer_rivals [--all-corpora] [--test=JSQuAD] [--Llama-2]`, an hour without the last two.

Everyone gets the text with each line once (repeated lines help nobody on other text), and is scored in the runtime that a user has, `tokenizers`. Every
rival also stands here in the strongest form that we know of it: SentencePiece with scores in order as well as 0 and with all characters covered, everyone
also with the new tokens that are not Japanese left out and the next Japanese ones taken instead, so that all of them go to what is scored.

New tokens "unreachable" are those that the merge rules do not make of their own text, or that cross a pre-token. English lines "changed" are those of
2,000 whose ids are not the base's.
"""

from __future__ import annotations

import copy
import io
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from tokenizers import AddedToken, Tokenizer, models, trainers

from jp_adapt.text.morphology import words
from jp_adapt.text.scripts import JAPANESE, is_japanese
from jp_adapt.tokenizer import sentencepiece
from jp_adapt.tokenizer.bpe import BpeTokenizer, cut
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.load import LoadedTokenizer
from jp_adapt.tokenizer.merges import Pair, append_merges
from jp_adapt.tokenizer.words import count_words
from tests.perf.tokenizer_data import BASES, corpus_of, distinct_lines, has_data, load_base, read_corpora, read_jsquad

LEFT_OUT = ("gimp_help", "rust_book_ja", "manpages", "python_docs_ja")
JSQUAD = "JSQuAD"
SP_SIZE = 64_000  # pieces trained: the first of them are the model of any smaller size, since BPE learns one piece after the other
ENGLISH_LINES = 2_000
FIRST_UNIT = 0x10000


@dataclass(frozen=True)
class System:
    """A tokenizer to score: its runtime, and the texts of its new tokens in vocabulary form."""

    runtime: Tokenizer
    new: list[str]
    model: BpeTokenizer | None = None  # None where the new tokens are matched before the merge rules


@dataclass(frozen=True)
class Bench:
    """One base and one training text."""

    base: LoadedTokenizer
    num_tokens: int
    sources: dict[str, list[str]]
    lines: list[str]

    @property
    def old(self) -> BpeTokenizer:
        return self.base.tokenizer

    @cached_property
    def trained_new(self) -> dict[str, Any]:
        """The BPE model of `train_new_from_iterator`, which trains with the base's own pipeline."""
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(self.old.runtime.to_str()))
        batches = (self.lines[start : start + 1000] for start in range(0, len(self.lines), 1000))
        trained = tokenizer.train_new_from_iterator(batches, SP_SIZE, show_progress=False)
        return dict(json.loads(trained.backend_tokenizer.to_str())["model"])


# --- the rivals


def ours(bench: Bench) -> System:
    extension = extend_tokenizer(bench.old, corpus_of(bench.sources), bench.num_tokens)
    learned = extension.tokens[len(extension.tokens) - bench.num_tokens :]  # the bytes that SmolLM2 lacks come on top, and stand in no text here
    return System(extension.tokenizer.runtime, [bench.old.to_text(token) for token in learned], extension.tokenizer)


def merged_pieces(bench: Bench, pieces: list[str], score: str) -> System:
    """SentencePiece pieces appended to the base: Chinese-LLaMA's merge_tokenizers.py (score 0), or scores of their own in learned order.

    A byte-level base gets a rule for every split of a piece into two tokens, in learned order; it has no scores.
    """
    if bench.base.sentencepiece is None:
        texts = [bench.old.to_text(piece.replace("▁", " ").encode("utf-8")) for piece in pieces]
        vocab = bench.old.spec["model"]["vocab"] | {text: bench.old.vocab_size + place for place, text in enumerate(texts)}
        return _with_tokens(bench.old, texts, append_merges(vocab, bench.old.merges, texts, rank_keyed=False, base_tokens=()))
    model = type(bench.base.sentencepiece)()
    model.CopyFrom(bench.base.sentencepiece)
    size = len(model.pieces)
    for place, piece in enumerate(pieces):
        # Llama-2's lowest score is -1e9, where float32 numbers are 64 apart.
        value = {"0": 0.0, "ordered": -2e9 - 256.0 * place, "mean rank": -(place + size) / 2}[score]
        model.pieces.add(piece=piece, score=value)
    extended = BpeTokenizer(sentencepiece.spec_of(model))
    return System(extended.runtime, pieces, extended)


@cache
def _sentencepiece(lines: tuple[str, ...], coverage: float, cut_words: bool) -> tuple[list[str], list[str]]:
    """SentencePiece BPE trained on `lines`: its longer pieces in learned order, and its single characters."""
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

    text = (" ".join(words(line)) if cut_words else line for line in lines)
    size = SP_SIZE
    while True:
        out = io.BytesIO()
        try:
            SentencePieceTrainer.train(
                sentence_iterator=iter(text),
                model_writer=out,
                vocab_size=size,
                model_type="bpe",
                character_coverage=coverage,
                max_sentence_length=1_000_000,
                num_threads=2,
                minloglevel=2,
                hard_vocab_limit=False,
            )
            break
        except RuntimeError as error:  # the text gives fewer pieces
            size = size * 3 // 4
            text = (" ".join(words(line)) if cut_words else line for line in lines)
            print(f"    SentencePiece: {size} pieces ({str(error)[:80]})", flush=True)
    processor = SentencePieceProcessor(model_proto=out.getvalue())
    pieces = [processor.id_to_piece(i) for i in range(processor.vocab_size()) if not processor.is_control(i) and not processor.is_unknown(i)]
    return [piece for piece in pieces if len(piece) > 1], [piece for piece in pieces if len(piece) == 1]


def sp_pieces(bench: Bench, *, coverage: float = 0.9995, japanese: bool = False, cut_words: bool = False) -> list[str]:
    """The `num_tokens` pieces that the base lacks of the SentencePiece model whose size gives so many."""
    longer, chars = _sentencepiece(tuple(bench.lines), coverage, cut_words)

    def is_new(piece: str) -> bool:
        return piece.replace("▁", " ").encode("utf-8") not in bench.old.ids and (not japanese or is_japanese(piece.removeprefix("▁")))

    if cut_words:  # words stood apart in the training text, and do not in the text to come
        longer = [piece for piece in dict.fromkeys(piece.removeprefix("▁") for piece in longer) if len(piece) > 1]
    alphabet = list(filter(is_new, chars))
    return list(filter(is_new, longer))[: bench.num_tokens - len(alphabet)] + alphabet


def swallow(bench: Bench, score: str, coverage: float = 0.9995) -> System:
    """Swallow's: text cut at MeCab's words, Japanese pieces only; a piece's rank is the mean of its rank among the new and the end of the base's."""
    return merged_pieces(bench, sp_pieces(bench, coverage=coverage, japanese=True, cut_words=True), score)


def train_new(bench: Bench, *, japanese: bool = False) -> System:
    """`train_new_from_iterator` of transformers, then its tokens that the base lacks after the base's, and its rules after the base's."""
    model = bench.trained_new
    special = bench.old.special_texts
    by_id = sorted(model["vocab"], key=model["vocab"].__getitem__)
    base_vocab = bench.old.spec["model"]["vocab"]
    new = [text for text in by_id if text not in base_vocab and text not in special]
    if japanese:
        new = [text for text in new if _is_japanese_text(bench.old, text)]
    new = new[: bench.num_tokens]
    known = {*base_vocab, *new}
    listed = set(bench.old.merges)
    rules = [(left, right) for left, right in map(tuple, model["merges"]) if left in known and right in known and left + right in known]
    return _with_tokens(bench.old, new, bench.old.merges + [rule for rule in rules if rule not in listed])


def add_tokens(bench: Bench, *, japanese: bool = False) -> System:
    """The strings of the SentencePiece training, given to `Tokenizer.add_tokens`: they are matched before the merge rules, the longest first."""
    texts = [piece.replace("▁", " ") for piece in sp_pieces(bench, japanese=japanese)]
    runtime = Tokenizer.from_str(bench.old.runtime.to_str())
    runtime.add_tokens([AddedToken(text, normalized=False) for text in texts])  # normalized, Llama-2's would match after a space only
    return System(runtime, texts)


def continued(bench: Bench, *, any_token: bool = False, coverage: float = 1.0) -> System:
    """Byte-pair encoding continued from the base segmentation, one rule a pair, tokens in learned order (Purason et al. 2512.03989).

    `any_token`: of any characters; else of whole Japanese characters, which come first as far as `coverage` asks. SentencePiece bases get the
    characters they lack first in both forms, since bytes do not merge there.
    """
    old = bench.old
    first, rules = _characters(bench, coverage, japanese=not any_token) if not any_token or old.is_sentencepiece else ([], [])
    stage = _with_tokens(old, first, old.merges + rules).model
    assert stage is not None
    if any_token:
        counts = Counter(bench.lines) if old.is_sentencepiece else Counter(word for line in bench.lines for word in old.words(line))
        ids = stage.encode_batch(counts) if old.is_sentencepiece else stage.split(list(counts))
        totals: Iterable[float] = counts.values()
    else:
        results = count_words(corpus_of(bench.sources), old.words)
        ids, totals = stage.split(results.texts), results.totals.tolist()
    vocab = stage.spec["model"]["vocab"].keys() - old.special_texts

    def fits(token: bytes) -> bool:
        if not any_token:
            return token == b" " or _is_japanese(token)
        return not old.is_sentencepiece or (not _is_partial(token) and old.to_text(token) in vocab)  # a byte piece merges with nothing

    learned = _train_pairs(ids, totals, stage.token_bytes, fits, bench.num_tokens - len(first), breaks_at_space=any_token and old.is_sentencepiece)
    new, seen = list(first), {*old.spec["model"]["vocab"], *first}
    more: list[Pair] = []
    for left, right in learned:
        texts = old.to_text(left), old.to_text(right)
        if texts[0] + texts[1] not in seen:
            if len(new) == bench.num_tokens:
                break
            seen.add(texts[0] + texts[1])
            new.append(texts[0] + texts[1])
        more.append(texts)
    return _with_tokens(old, new, old.merges + rules + more)


def _characters(bench: Bench, coverage: float, *, japanese: bool) -> tuple[list[str], list[Pair]]:
    """Characters that the base spells with several tokens, and the steps to them; the rarest that `coverage` does not ask for are left out."""
    counts = Counter(char for line in bench.lines for char in line)
    chars, share, total = [], 0, sum(counts.values())
    for char, count in counts.most_common():
        if share >= coverage * total:
            break
        share += count
        if char.encode("utf-8") not in bench.old.ids and (not japanese or is_japanese(char)):
            chars.append(char.encode("utf-8"))
    if bench.old.is_sentencepiece:
        return [bench.old.to_text(char) for char in chars], []
    names = {token_id: text for text, token_id in bench.old.spec["model"]["vocab"].items()}
    new: dict[str, None] = {}
    rules: dict[Pair, None] = {}
    for ids in bench.old.split([bench.old.to_text(char) for char in chars]):
        text = names[ids[0]]
        for token_id in ids[1:]:
            rules[text, names[token_id]] = None
            text += names[token_id]
            if text not in bench.old.spec["model"]["vocab"]:
                new[text] = None
    return list(new), list(rules)


def _train_pairs(
    ids: Iterable[Sequence[int]],
    totals: Iterable[float],
    token_bytes: dict[int, bytes],
    fits: Callable[[bytes], bool],
    wanted: int,
    *,
    breaks_at_space: bool,
) -> list[tuple[bytes, bytes]]:
    units: dict[int, str] = {}
    tokens: dict[str, bytes] = {}
    segments: Counter[str] = Counter()
    for word, total in zip(ids, totals, strict=True):
        run = ""
        for token_id in word:
            token = token_bytes[token_id]
            if run and ((breaks_at_space and token.startswith(b" ")) or not fits(token)):
                segments[run] += int(total)
                run = ""
            if fits(token):
                if token_id not in units:
                    units[token_id] = chr(FIRST_UNIT + len(units))
                    tokens[units[token_id]] = token
                run += units[token_id]
        segments[run] += int(total)
    trainer = trainers.BpeTrainer(vocab_size=len(units) + wanted * 5 // 4 + 200, min_frequency=2, show_progress=False)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.train_from_iterator((segment for segment, count in segments.items() if len(segment) > 1 for _ in range(count)), trainer)
    rules = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(b"".join(tokens[unit] for unit in left), b"".join(tokens[unit] for unit in right)) for left, right in rules]


def _with_tokens(base: BpeTokenizer, new: Sequence[str], rules: Sequence[Pair]) -> System:
    """`base` with the tokens `new` after its last id, added tokens kept at theirs, and the merge rules `rules`."""
    spec = copy.copy(base.spec)
    added = {token["content"]: token["id"] for token in spec["added_tokens"]}
    vocab = base.spec["model"]["vocab"] | added | {text: base.vocab_size + place for place, text in enumerate(new)}
    spec["model"] = base.spec["model"] | {"vocab": vocab, "merges": [list(rule) for rule in rules]}
    extended = BpeTokenizer(spec)
    return System(extended.runtime, list(new), extended)


def _is_partial(token: bytes) -> bool:
    try:
        token.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _is_japanese(token: bytes) -> bool:
    return not _is_partial(token) and is_japanese(token.decode("utf-8").removeprefix(" "))


def _is_japanese_text(base: BpeTokenizer, text: str) -> bool:
    """Whether a vocabulary text is Japanese, or a part of what can be."""
    token = base.to_bytes(text).removeprefix(b" ")
    whole = token.decode("utf-8", errors="ignore")
    return min(token, default=0) >= 0x80 and (not whole or is_japanese(whole))


SYSTEMS: dict[str, Callable[[Bench], System]] = {
    "ours": ours,
    "SentencePiece merge, score 0": lambda bench: merged_pieces(bench, sp_pieces(bench), "0"),
    "SentencePiece merge, ordered scores": lambda bench: merged_pieces(bench, sp_pieces(bench), "ordered"),
    "SentencePiece merge, coverage 1, score 0": lambda bench: merged_pieces(bench, sp_pieces(bench, coverage=1.0), "0"),
    "SentencePiece merge, coverage 1, ordered": lambda bench: merged_pieces(bench, sp_pieces(bench, coverage=1.0), "ordered"),
    "SentencePiece merge, Japanese only, score 0": lambda bench: merged_pieces(bench, sp_pieces(bench, japanese=True), "0"),
    "SentencePiece merge, Japanese only, ordered": lambda bench: merged_pieces(bench, sp_pieces(bench, japanese=True), "ordered"),
    "SentencePiece merge, Japanese, cov. 1, score 0": lambda bench: merged_pieces(bench, sp_pieces(bench, coverage=1.0, japanese=True), "0"),
    "SentencePiece merge, Japanese, cov. 1, ordered": lambda bench: merged_pieces(bench, sp_pieces(bench, coverage=1.0, japanese=True), "ordered"),
    "Swallow (MeCab words), mean rank": lambda bench: swallow(bench, "mean rank"),
    "Swallow (MeCab words), ordered": lambda bench: swallow(bench, "ordered"),
    "Swallow (MeCab words), coverage 1, ordered": lambda bench: swallow(bench, "ordered", 1.0),
    "train_new_from_iterator + merge": train_new,
    "train_new_from_iterator + merge, Japanese only": lambda bench: train_new(bench, japanese=True),
    "add_tokens": add_tokens,
    "add_tokens, Japanese only": lambda bench: add_tokens(bench, japanese=True),
    "continued BPE, any": lambda bench: continued(bench, any_token=True),
    "continued BPE, Japanese": continued,
    "continued BPE, Japanese, coverage 0.9995": lambda bench: continued(bench, coverage=0.9995),
}
WEAKER = ("Japanese only, score", "Japanese only, ordered", "mean rank")  # another row is ahead of each or the same: on the first text alone
SCORED = ("score 0", "mean rank")  # a byte-level base has no scores: one form of each is enough


# --- the scores


def chars_per_token(runtime: Tokenizer, texts: Sequence[str]) -> float:
    return sum(map(len, texts)) / sum(map(len, cut(runtime, texts)))


def count_unreachable(base: BpeTokenizer, system: System) -> int:
    first = base.vocab_size
    if system.model is None:
        return sum(system.runtime.token_to_id(text) not in system.runtime.encode(text, add_special_tokens=False).ids for text in system.new)
    spelled = system.model.split(system.new)
    ids = {text: system.model.spec["model"]["vocab"][text] for text in system.new}
    assert min(ids.values()) >= first
    return sum(spelling != [ids[text]] or _crosses(base, text) for text, spelling in zip(system.new, spelled, strict=True))


def _crosses(base: BpeTokenizer, text: str) -> bool:
    token = base.to_bytes(text)
    return not _is_partial(token) and len(base.words(token.decode("utf-8"))) > 1


def count_changed(base: BpeTokenizer, system: System, lines: Sequence[str]) -> int:
    return sum(old != new for old, new in zip(base.encode_batch(lines), cut(system.runtime, lines), strict=True))


def english_lines() -> list[str]:
    lines = [line for line in distinct_lines(text for texts in read_corpora("en").values() for text in texts) if not JAPANESE.search(line)]
    return random.Random(0).sample(lines, ENGLISH_LINES)


def main() -> None:
    if not has_data():
        return
    corpora = read_corpora("ja")
    left_out = list(corpora) if "--all-corpora" in sys.argv else list(LEFT_OUT)
    only = [name for name in BASES if f"--{name}" in sys.argv] or list(BASES)
    english = english_lines()
    bases = {name: load_base(name) for name in only}
    tests = {JSQUAD: read_jsquad()} | {name: corpora[name] for name in left_out}
    chosen = [argument.removeprefix("--test=") for argument in sys.argv if argument.startswith("--test=")]
    tests = {name: texts for name, texts in tests.items() if not chosen or name in chosen}
    scores: dict[str, dict[str, dict[str, float]]] = {name: {} for name in only}
    faults: dict[str, dict[str, str]] = {name: {} for name in only}
    for test, texts in tests.items():
        sources = {name: documents for name, documents in corpora.items() if name != test}
        lines = distinct_lines(text for documents in sources.values() for text in documents)
        print(f"  {test}: {sum(map(len, texts)):,} characters; trained on {sum(map(len, lines)):,} in {len(lines):,} distinct lines", flush=True)
        for name in only:
            bench = Bench(bases[name], BASES[name], sources, lines)
            print(f"    {name}: {chars_per_token(bench.old.runtime, texts):.4f} base", flush=True)
            for system_name, build in SYSTEMS.items():
                if bench.base.sentencepiece is None and any(word in system_name for word in SCORED):
                    continue
                if system_name in faults[name] and any(word in system_name for word in WEAKER):
                    continue
                started = time.perf_counter()
                system = build(bench)
                built = time.perf_counter() - started
                score = chars_per_token(system.runtime, texts)
                scores[name].setdefault(system_name, {})[test] = score
                short = "" if len(system.new) == BASES[name] else f", gives only {len(system.new):,}"
                if system_name not in faults[name]:  # on the first text alone
                    faults[name][system_name] = f"{count_unreachable(bench.old, system):>11,} {count_changed(bench.old, system, english):>8,}{short}"
                print(
                    f"      {score:.4f} {system_name}{short} [{built:.0f} s] {faults[name][system_name] if len(scores[name][system_name]) == 1 else ''}",
                    flush=True,
                )
        _sentencepiece.cache_clear()
    for name in only:
        _print_table(name, list(tests), scores[name], faults[name])


def _print_table(base: str, tests: list[str], scores: dict[str, dict[str, float]], faults: dict[str, str]) -> None:
    print(f"\n  {base} +{BASES[base]:,}: chars/token, and ours divided by it")
    print(f"  {'':<47}" + "".join(f"{test:>20}" for test in tests) + f"{'unreachable':>13} {'en. lines':>9}")
    for system, row in scores.items():
        cells = "".join(f"{row[test]:11.4f} ({scores['ours'][test] / row[test]:.3f}x)" if test in row else f"{'':>20}" for test in tests)
        print(f"  {system:<47}{cells}  {faults[system]}")
    for test in tests:
        best = max((system for system in scores if system != "ours" and test in scores[system]), key=lambda system: scores[system][test])
        print(f"  {test}: ours over the best rival ({best}): {scores['ours'][test] / scores[best][test]:.4f}")
