"""What is scored is what was written: requests of real benchmarks, decoded again from the ids that the engine scores.

For each tokenizer 2,000 requests (a prompt and one continuation; --limit=N): the ids decode to prompt + continuation, and the ids before the scored
ones hold no character of the continuation. Beside it, how often the peers' ways lose or add something at the border: lm-eval's cut at the length of the
encoded prompt, and the encoding of the parts by themselves in Stability's fork. Prompts are ours, and lm-eval's for two benchmarks, which end in a newline.

Tokenizers: Llama-2 (its tokenizer.model), Llama-3, both with --new=N (4,000) tokens more, and two versions of LLM-jp (unigram, by sentencepiece).
Data under JP_ADAPT_DATA (../shared/data).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from sentencepiece import SentencePieceProcessor

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.evaluation.prompts import build_prompts
from jp_adapt.inference.boundaries import pair
from jp_adapt.inference.choices import choice_requests
from jp_adapt.tokenizer.extend import extend_tokenizer
from tests.perf.options import option
from tests.perf.tokenizer_data import DATA, has_data, load_base, read_jsquad

BENCHMARKS = (  # profile, examples
    ("ja/jcommonsenseqa", "jp-adapt", 3),
    ("ja/jcommonsenseqa", "lm-eval-ja", 3),
    ("ja/jnli", "jp-adapt", 3),
    ("ja/jnli", "lm-eval-ja", 3),
    ("ja/jsquad", "jp-adapt", 2),
    ("ja/xwinograd-ja", "jp-adapt", 0),
    ("ja/jmmlu", "jp-adapt", 2),
)
LLM_JP = {"LLM-jp 2.2": "ver2.2/code10K_en20K_ja30K.ver2.2.model", "LLM-jp 3": "ver3.0/llm-jp-tokenizer-100k.ver3.0b1.model"}
Coder = tuple[Callable[[str], list[int]], Callable[[list[int]], str]]


def items(count: int) -> list[tuple[str, list[str]]]:
    """(prompt, continuations) in equal shares of the benchmarks, until they have `count` continuations."""
    sources = []
    for name, profile, shots in BENCHMARKS:
        _, prompts = build_prompts(load_benchmark(name, DATA / "benchmarks", shots=shots > 0), profile, shots=shots, limit=count)
        sources.append((prompt.text, prompt.choices or [prompt.answers[0]]) for prompt in prompts)
    results: list[tuple[str, list[str]]] = []
    for at, source in enumerate(sources):
        left = count * (at + 1) // len(sources) - count * at // len(sources)
        while left > 0 and (item := next(source, None)) is not None:
            results.append((item[0], item[1][:left]))
            left -= len(results[-1][1])
    return results


def tokenizers() -> Iterator[tuple[str, Coder]]:
    for name in ("Llama-2", "Llama-3"):
        base = load_base(name).tokenizer
        yield name, (base.encode, base.decode)
        extended = extend_tokenizer(base, islice(read_jsquad(), 2000), option("new", 4000)).tokenizer
        yield f"{name} + {extended.vocab_size - base.vocab_size:,}", (extended.encode, extended.decode)
    for name, file in LLM_JP.items():
        pieces = SentencePieceProcessor(model_file=str(DATA / "tokenizers" / "llm-jp" / "models" / file))
        yield name, (pieces.encode, lambda ids, pieces=pieces: str(pieces.decode(ids)))


def whole(decoded: str, written: str) -> bool:
    """Equal but for the space that SentencePiece puts before a text, and takes away again."""
    return decoded == written or decoded == written.removeprefix(" ") or decoded.removeprefix(" ") == written


def check(coder: Coder, asked: list[tuple[str, list[str]]]) -> dict[str, int]:
    encode, decode = coder
    counts = dict.fromkeys(
        ("requests", "lost or added", "continuation not scored", "moved boundary", "cut elsewhere than at the border", "apart: other tokens"), 0
    )
    for prompt, options in asked:
        item = choice_requests(encode, prompt, options, prefix=0)
        for option_text, request in zip(options, item.requests, strict=True):
            counts["requests"] += 1
            counts["moved boundary"] += item.moved_boundary
            counts["lost or added"] += not whole(decode(request.ids[1:]), prompt + option_text)
            before = decode(request.ids[1 : request.first]).rstrip("\ufffd")  # a character that is not whole before the border is scored
            counts["continuation not scored"] += not (prompt.startswith(before) or prompt.startswith(before.removeprefix(" ")))
            cut = pair(encode, prompt, option_text, "cut", start=(), empty=0)
            counts["cut elsewhere than at the border"] += bool(prompt) and not whole(decode(cut.ids[: cut.first]), prompt.rstrip())
            counts["apart: other tokens"] += pair(encode, prompt, option_text, "apart", start=(), empty=0).moved
    return counts


def main() -> None:
    if not has_data():
        return
    asked = items(option("limit", 2000))
    for name, coder in tokenizers():
        print(f"  {name}: " + "; ".join(f"{count:,} {what}" for what, count in check(coder, asked).items()), flush=True)
