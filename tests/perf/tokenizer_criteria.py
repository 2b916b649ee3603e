"""Every criterion of an extension on real text and on 40,000 hostile strings: the three bases, each extended from all of corpora/ja.

`python -m tests.perf tokenizer_criteria [--bases=Llama-3]`. Held-out Japanese is JSQuAD; English corpora and every .py file of the standard library must not
change. The hostile strings are cut whole, line ends included (`verify_tokenizer` cuts its texts into lines).
"""

from __future__ import annotations

import time

from jp_adapt.text.scripts import JAPANESE
from jp_adapt.tokenizer.bpe import BLOCK
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.fuzz import fuzz_strings
from jp_adapt.tokenizer.load import LoadedTokenizer
from jp_adapt.tokenizer.runtimes import runtimes_of
from jp_adapt.tokenizer.verify import Criterion, verify_tokenizer
from tests.perf.options import option
from tests.perf.tokenizer_data import BASES, corpus_of, has_data, load_base, read_corpora, read_jsquad, read_standard_library
from tests.tokenizer.conftest import extended_tokenizer

FUZZ_STRINGS = 40_000
EXAMPLES = 5


def main() -> None:
    if not has_data():
        return
    sources, japanese = read_corpora("ja"), read_jsquad()
    english = [text for texts in read_corpora("en").values() for text in texts]
    code, fuzz = read_standard_library(), fuzz_strings(FUZZ_STRINGS)
    for label, texts in (("JSQuAD", japanese), ("English", english), ("standard library", code), ("fuzz", fuzz)):
        print(f"  {label}: {len(texts):,} texts, {sum(map(len, texts)):,} characters", flush=True)
    for name in option("bases", ",".join(BASES)).split(","):
        number = BASES[name]
        base, started = load_base(name), time.perf_counter()
        extension = extend_tokenizer(base.tokenizer, corpus_of(sources), number)
        extended = extended_tokenizer(base, extension)
        print(
            f"\n  {name} +{number:,} [{time.perf_counter() - started:.0f} s]; runtimes: {', '.join(runtime.name for runtime in runtimes_of(extended))}",
            flush=True,
        )
        for label, criteria in (
            ("JSQuAD", verify_tokenizer(base, extended, japanese=japanese)),
            ("English", verify_tokenizer(base, extended, unchanged=english)),
            ("code", verify_tokenizer(base, extended, unchanged=code)),
            ("fuzz", check_whole(base, extended, fuzz)),
        ):
            _print(label, [criterion for criterion in criteria if label == "JSQuAD" or criterion.name not in ONCE])
        print(f"  [{time.perf_counter() - started:.0f} s]", flush=True)


ONCE = ("base_ids_changed", "unreachable_new_tokens", "dead_base_tokens", "llama_cpp_check_string")  # do not depend on the texts


def _print(label: str, criteria: list[Criterion]) -> None:
    for criterion in criteria:
        where = "" if criterion.name in ONCE else label
        print(f"    {criterion.failures:>6,} of {criterion.checked:>9,}  {where:<8} {criterion.name} ({criterion.runtime})", flush=True)
        for example in criterion.examples:
            print(f"{'':24}{example!r}", flush=True)


def check_whole(base: LoadedTokenizer, extended: LoadedTokenizer, texts: list[str]) -> list[Criterion]:
    """The criteria that depend on texts, for texts that are not cut into lines. Round trips that are lost with the base too are counted apart."""
    before = {runtime.name: runtime for runtime in runtimes_of(base)}
    special = sorted(extended.tokenizer.special_texts, key=len, reverse=True)
    missing = frozenset(base.tokenizer.missing_bytes)
    failures: dict[tuple[str, str], list[str]] = {}
    checked: dict[tuple[str, str], int] = {}

    def tally(name: str, runtime: str, text: str, failed: bool) -> None:
        checked[name, runtime] = checked.get((name, runtime), 0) + 1
        failures.setdefault((name, runtime), []).extend([text] * failed)

    for start in range(0, len(texts), BLOCK):
        block = texts[start : start + BLOCK]
        with_special = {text for text in block if any(token in text for token in special)}
        lossy = {text for text in block if not missing.isdisjoint(text.encode("utf-8"))}
        old = {name: runtime.encode(block) for name, runtime in before.items()}
        first: list[list[int]] = []
        for runtime in runtimes_of(extended):
            new, name = runtime.encode(block), runtime.name
            first = first or new
            for text, old_ids, new_ids in zip(block, old.get(name, old["tokenizers"]), new, strict=True):
                decoded = runtime.decode(new_ids)
                if text not in lossy:
                    tally("longer_inputs", name, text, len(new_ids) > len(old_ids))
                    if not JAPANESE.search(text) and "\u3000" not in text:
                        tally("changed_texts", name, text, new_ids != old_ids)
                same = name in before and decoded == before[name].decode(old_ids)
                tally("round_trip_failures beyond the base's", name, text, decoded != text and not same)
                tally("round_trip_failures, the base's own too", name, text, decoded != text)
            if name != "tokenizers":
                agree = [a == b for a, b in zip(old["tokenizers"], old.get(name, old["tokenizers"]), strict=True)]
                for text, base_agrees, a, b in zip(block, agree, first, new, strict=True):
                    if text not in with_special:
                        tally("runtimes_disagree", name, text, base_agrees and a != b)
                        tally("runtimes_disagree, the base's own too", name, text, a != b)
    return [
        Criterion(name, runtime, len(results), checked[name, runtime], [text[:80] for text in results[:EXAMPLES]])
        for (name, runtime), results in failures.items()
    ]
