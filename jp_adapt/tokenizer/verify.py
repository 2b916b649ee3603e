"""The criteria that an extended tokenizer must hold, counted by encoding with it and with its base in every runtime that has the family."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import GateError, InputError
from jp_adapt.text.scripts import JAPANESE
from jp_adapt.tokenizer.auto import DEFAULT_MODEL, MODEL_CONFIG, disagreements
from jp_adapt.tokenizer.bpe import BLOCK, BpeTokenizer, text_of
from jp_adapt.tokenizer.hub_config import read_config
from jp_adapt.tokenizer.load import LoadedTokenizer
from jp_adapt.tokenizer.runtimes import Runtime, runtimes_of

MAX_EXAMPLES = 5

# Strings at which careless extensions break: what is written here must come back from every tokenizer that holds all bytes.
HOSTILE_TEXTS = (
    "".join(map(chr, range(0x20))) + "\x7f",
    "\r\n\r\n\t  \u3000 ▁▁ a  b   1  2",
    "𠮷野家で𩸽を頼む。葛󠄀城市、辻󠄂さん、神︀",  # Ext-B kanji, ideographic variation selectors
    "👨‍👩‍👧‍👦🇯🇵👍🏽",  # ZWJ sequence, flag, skin tone
    "ﾊﾟﾋﾟﾌﾟ ｶﾞｷﾞｸﾞ ｱｲｳｴｵ｡｢｣､･",
    "か\u3099き\u3099は\u309a がぎぱ",  # decomposed kana
    "①㈱㍻㌔℡№〜～ー―‐－",
    "日本語" * 400,
    "\U000f0000\U0010ffff\ufffd\ufeff\u200b",
)
# What llama.cpp's converter cuts to tell a byte-level pre-tokenizer (convert_hf_to_gguf.py, get_vocab_base_pre); other ids are "not recognized" there.
LLAMA_CPP_CHECK = (
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple emojis concatenated) ✅ 🦙🦙 3 33 333 3333 33333 333333 3333333 33333333 "
    "3.3 3..3 3...3 កាន់តែពិសេសអាច😁 ?我想在apple工作1314151天～ ------======= нещо на Български ''''''```````\"\"\"\"......!!!!!!?????? "
    "I've been 'told he's there, 'RE you sure? 'M not sure I'll make it, 'D you like some tea? We'Ve a'lL"
)
CONTEXTS = ("", "\n", "a")  # what may stand before a token: no token crosses from them into Japanese
NOTES = frozenset({"llama_cpp_check_string"})  # said, and no reason to fail: `export gguf` names the pre-tokenizer itself


@dataclass(frozen=True)
class Criterion:
    """One criterion in one runtime: how often it is broken, of how many, and a few examples."""

    name: str
    runtime: str
    failures: int
    checked: int
    examples: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        return self.name if self.runtime in ("all", "tokenizers") else f"{self.name} ({self.runtime})"

    @property
    def holds(self) -> bool:
        return self.failures == 0 or self.name in NOTES


def verify_tokenizer(
    base: LoadedTokenizer | BpeTokenizer, extended: LoadedTokenizer | BpeTokenizer, *, japanese: Sequence[str] = (), unchanged: Sequence[str] = ()
) -> list[Criterion]:
    """Count what an extension breaks; every number must be 0 (those of `NOTES` apart).

    Args:
        base, extended: tokenizers as `load_tokenizer` gives them; with a native model (`tokenizer.model`) its runtime is checked too. Where `extended` is a
            folder, what AutoTokenizer makes of it is compared with its tokenizer.json, beside the config.json of the folder or of the base's.
        japanese: texts in the new language; no line of them may take more tokens than before.
        unchanged: texts (English, code) no line of which may change its ids, unless it holds Japanese characters or the ideographic space.

    Raises:
        InputError: a text holds a lone surrogate, which is not a text and no runtime takes.
    """
    base, extended = (pair if isinstance(pair, LoadedTokenizer) else LoadedTokenizer(pair, []) for pair in (base, extended))
    old, new = base.tokenizer, extended.tokenizer
    for text in chain(japanese, unchanged):
        _refuse_surrogates(text)
    texts = [*_lines(chain(japanese, unchanged)), *HOSTILE_TEXTS, LLAMA_CPP_CHECK]
    plain = {text for text in chain(_lines(unchanged), HOSTILE_TEXTS) if not _holds_japanese(text)}
    pairs = _Pairs(runtimes_of(base), runtimes_of(extended), old.missing_bytes, new.special_texts, plain)
    for start in range(0, len(texts), BLOCK):
        pairs.add(texts[start : start + BLOCK])
    return [
        _criterion("base_ids_changed", "all", _changed_ids(old, new), len(old.token_bytes)),
        *_reachability(old, new, extended),
        _llama_cpp(old, new),
        *_as_loaded(extended, base.files[0].parent if base.files else None, texts),
        *(_criterion(name, runtime, failures, pairs.checked[name, runtime]) for (name, runtime), failures in pairs.failures.items()),
    ]


class _Pairs:
    """Texts encoded by every runtime of the base and of the extension, block by block, and what went wrong."""

    def __init__(self, before: list[Runtime], after: list[Runtime], missing: Iterable[int], special: Iterable[str], plain: set[str]) -> None:
        self._before = {runtime.name: runtime for runtime in before}
        self._after = after
        self._missing = frozenset(missing)
        self._special = re.compile("|".join(map(re.escape, special)) or "(?!)")
        self._plain = plain
        self.failures: dict[tuple[str, str], list[str]] = {}
        self.checked: Counter[tuple[str, str]] = Counter()

    def add(self, texts: list[str]) -> None:
        """Cut `texts` and tally."""
        before = {name: runtime.encode(texts) for name, runtime in self._before.items()}
        after = {runtime.name: runtime.encode(texts) for runtime in self._after}
        lossy = {text for text in texts if self._missing and not self._missing.isdisjoint(text.encode("utf-8"))}  # the base's ids are no measure there
        for runtime in self._after:
            name, new = runtime.name, after[runtime.name]
            if name in before:
                old, base = before[name], self._before[name]
                grown = [item for item in zip(texts, old, new, strict=True) if item[0] not in lossy]
                self._tally("changed_lines", name, [(text, a != b) for text, a, b in grown if text in self._plain])
                self._tally("longer_inputs", name, [(text, len(b) > len(a)) for text, a, b in grown])
                self._tally("round_trip_failures", name, [(text, _is_lost(text, runtime, b, base, a)) for text, a, b in zip(texts, old, new, strict=True)])
            if name != "tokenizers":
                rows = zip(texts, before["tokenizers"], before.get(name, before["tokenizers"]), after["tokenizers"], new, strict=True)
                # Two runtimes should agree where no special token is written in the text and the base's runtimes agree.
                self._tally("runtimes_disagree", name, [(text, c != d) for text, a, b, c, d in rows if a == b and not self._special.search(text)])

    def _tally(self, name: str, runtime: str, results: list[tuple[str, bool]]) -> None:
        self.checked[name, runtime] += len(results)
        self.failures.setdefault((name, runtime), []).extend(text for text, failed in results if failed)


def _lines(texts: Iterable[str]) -> list[str]:
    """Distinct lines with their ends: a carriage return or a line feed may be part of a token."""
    return list(dict.fromkeys(chain.from_iterable(text.splitlines(keepends=True) for text in texts)))


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"a text holds a lone surrogate (U+{ord(text[error.start]):04X}) at character {error.start}, which is not a text; mend it") from error


def _criterion(name: str, runtime: str, failures: Iterable[str], checked: int) -> Criterion:
    results = list(failures)
    return Criterion(name, runtime, len(results), checked, [text if len(text) <= 80 else text[:77] + "..." for text in results[:MAX_EXAMPLES]])


def _changed_ids(base: BpeTokenizer, extended: BpeTokenizer) -> Iterable[str]:
    """Base tokens, special ones included, that now have another id or none."""
    before = base.runtime.get_vocab(with_added_tokens=True)
    after = extended.runtime.get_vocab(with_added_tokens=True)
    return (f"{token!r}: {token_id} -> {after.get(token)}" for token, token_id in before.items() if after.get(token) != token_id)


def _reachability(base: BpeTokenizer, extended: BpeTokenizer, loaded: LoadedTokenizer) -> list[Criterion]:
    """New tokens that no text produces, and base tokens that no text produces any more, judged by each token's own text."""
    first, end = base.vocab_size, extended.vocab_size
    new = [(token_id, extended.token_bytes.get(token_id)) for token_id in range(first, end)]
    old = [(token_id, token) for token, token_id in base.ids.items()]
    alive = [item for item, ids in zip(old, base.split([base.to_text(token) for _, token in old]), strict=True) if ids == [item[0]]]

    def dead(tokens: Sequence[tuple[int, bytes | None]], in_texts: set[int]) -> list[str]:
        present = [(token_id, token) for token_id, token in tokens if token is not None and extended.ids.get(token) == token_id]
        spelled = extended.split([extended.to_text(token) for _, token in present])
        reached = {token_id for (token_id, _), ids in zip(present, spelled, strict=True) if ids == [token_id]}
        lost = in_texts - _come_out(extended, [(token_id, token) for token_id, token in present if token_id in in_texts])
        return [_name(token_id, token) for token_id, token in tokens if token_id not in reached or token_id in lost]

    whole = {token_id for token_id, token in new if token is not None and text_of(token) is not None}
    criteria = [
        _criterion("unreachable_new_tokens", "tokenizers", dead(new, whole), len(new)),
        _criterion("dead_base_tokens", "tokenizers", dead(alive, _come_out(base, alive)), len(alive)),
    ]
    if loaded.sentencepiece is not None:
        criteria += [
            _criterion("unreachable_new_tokens", "sentencepiece", _dead_pieces(loaded.sentencepiece, new), len(new)),
            _criterion("dead_base_tokens", "sentencepiece", _dead_pieces(loaded.sentencepiece, alive), len(alive)),
        ]
    for runtime in runtimes_of(loaded):
        if runtime.name == "tiktoken":
            criteria += [
                _criterion("unreachable_new_tokens", "tiktoken", _not_whole(runtime, new), len(new)),
                _criterion("dead_base_tokens", "tiktoken", _not_whole(runtime, alive), len(alive)),
            ]
    return criteria


def _come_out(tokenizer: BpeTokenizer, tokens: Sequence[tuple[int, bytes]]) -> set[int]:
    """Ids of the tokens that the whole runtime (normalizer, added tokens, pre-tokenizer, model) produces where their text stands after one of `CONTEXTS`.

    A SentencePiece tokenizer puts a space before a text, so that a token that begins with one is looked for without it there.
    """
    reached: set[int] = set()
    for context in CONTEXTS:
        before = tokenizer.encode(context)
        left = [(token_id, text) for token_id, token in tokens if token_id not in reached and (text := text_of(token)) is not None]
        texts = [text.removeprefix(" ") if tokenizer.is_sentencepiece and not context else text for _, text in left]
        cut = tokenizer.encode_batch(context + text for text in texts)
        reached |= {token_id for (token_id, _), ids in zip(left, cut, strict=True) if ids == [*before, token_id]}
    return reached


def _as_loaded(extended: LoadedTokenizer, base_folder: Path | None, texts: Sequence[str]) -> list[Criterion]:
    """How AutoTokenizer reads the folder, with the config.json that its users will have next to it; empty if there is no folder."""
    if extended.folder is None:
        return []
    config = (None if base_folder is None else read_config(base_folder, MODEL_CONFIG)) or DEFAULT_MODEL
    failures, checked = disagreements(extended.folder, config, texts)
    return [_criterion("auto_tokenizer_disagrees", "transformers", failures, checked)]


def _not_whole(runtime: Runtime, tokens: Sequence[tuple[int, bytes | None]]) -> list[str]:
    """Tokens that the runtime does not produce from their own text; parts of a character are no text and left out."""
    whole = [(token_id, token) for token_id, token in tokens if token is None or text_of(token) is not None]
    spelled = runtime.encode([(token or b"").decode("utf-8") for _, token in whole])
    return [_name(token_id, token) for (token_id, token), ids in zip(whole, spelled, strict=True) if ids != [token_id]]


def _name(token_id: int, token: bytes | None) -> str:
    return f"id {token_id}: " + ("no token" if token is None else repr(token.decode("utf-8", errors="backslashreplace")))


def _dead_pieces(model: Any, tokens: Sequence[tuple[int, bytes | None]]) -> list[str]:
    """Tokens that SentencePiece does not produce from their text (its dummy prefix switched off). Byte pieces stand for no text and are left out."""
    from sentencepiece import SentencePieceProcessor

    bare = type(model)()
    bare.CopyFrom(model)
    bare.normalizer_spec.add_dummy_prefix = False
    processor = SentencePieceProcessor(model_proto=bare.SerializeToString())
    size = processor.get_piece_size()  # smaller than some ids where the two tokenizers do not belong together
    whole = [(token_id, token) for token_id, token in tokens if token is None or token_id >= size or not processor.is_byte(token_id)]
    spelled = processor.encode([(token or b"").decode("utf-8", errors="replace") for _, token in whole], out_type=int)
    return [_name(token_id, token) for (token_id, token), ids in zip(whole, spelled, strict=True) if ids != [token_id]]


def _llama_cpp(base: BpeTokenizer, extended: BpeTokenizer) -> Criterion:
    changed = not base.is_sentencepiece and base.encode(LLAMA_CPP_CHECK) != extended.encode(LLAMA_CPP_CHECK)
    say = ["its ids differ: llama.cpp's own converter fails; use jp-adapt export gguf"]
    return _criterion("llama_cpp_check_string", "tokenizers", say if changed else [], 1)


def _is_lost(text: str, runtime: Runtime, ids: list[int], base: Runtime, base_ids: list[int]) -> bool:
    """Whether a text does not come back, and the base would not give the same: what a base loses is its own."""
    decoded = runtime.decode(ids)
    return decoded != text and decoded != base.decode(base_ids)


def _holds_japanese(text: str) -> bool:
    """U+3000 belongs to no word, yet it is Japanese: it begins with the same two bytes as 、 and 。."""
    return "\u3000" in text or JAPANESE.search(text) is not None


def check_criteria(criteria: Sequence[Criterion]) -> None:
    """GateError, with the first example of each, where a criterion does not hold."""
    broken = [
        f"{criterion.label}: {criterion.failures} of {criterion.checked}, for example {criterion.examples[0]!r}"
        for criterion in criteria
        if not criterion.holds
    ]
    if broken:
        raise GateError("the extended tokenizer does not hold these criteria, each must be 0: " + "; ".join(broken))
