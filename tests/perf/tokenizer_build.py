"""Time and memory of building an extension, and encoding speed of extended tokenizers over their bases.

`python -m tests.perf tokenizer_build [--1gb]`

- Llama-2 +12,581 from all of corpora/ja against SentencePiece BPE training alone on the same text, with as many pieces and its alphabet. Each run is a
  process of its own; both get their text as Python strings, and reading it counts for neither.
- Encoding by `tokenizers`, one thread pool, Japanese text.
- With --1gb, that alone: `jp-adapt tokenizer extend` on 1 GB of UTF-8, lines of corpora/ja drawn with replacement.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from jp_adapt.tokenizer.bpe import BpeTokenizer, cut
from jp_adapt.tokenizer.extend import extend_tokenizer
from tests.perf.timing import alternate
from tests.perf.tokenizer_data import BASES, DATA, corpus_of, has_data, load_base, read_corpora, read_jsquad

ROUNDS = 3
COVERAGE = 0.9995
GIGABYTE = 1_000_000_000
ENCODED_CHARS = 1_000_000


def main() -> None:
    if not has_data():
        return
    if "--1gb" in sys.argv:
        _build_large()
        return
    _compare_builds()
    _compare_speed()


def _compare_builds() -> None:
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "sentencepiece": []}
    for _ in range(ROUNDS):
        for name, results in runs.items():
            results.append(_child(name))
            print(f"  {name:<14} {results[-1]['seconds']:6.1f} s, processor {results[-1]['cpu']:6.1f} s, peak {results[-1]['peak_mb']:6.0f} MB", flush=True)
    own, theirs = runs["ours"], runs["sentencepiece"]
    ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(own, theirs, strict=True))
    cpu = statistics.median(a["cpu"] / b["cpu"] for a, b in zip(own, theirs, strict=True))
    print(f"  build of Llama-2 +{BASES['Llama-2']:,}: ours / SentencePiece training, median {ratio:.2f} (processor time {cpu:.2f})")


def _child(name: str) -> dict[str, float]:
    status, said, peak = _run([sys.executable, "-m", "tests.perf.tokenizer_build", name])
    if status:
        raise RuntimeError(said)
    return dict(json.loads(said.splitlines()[-1])) | {"peak_mb": peak}


# The peak that the system keeps of a process begins with that of the process which started it: a small one must stand between.
LAUNCHER = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
print(json.dumps([done.returncode, done.stdout, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))
"""


def _run(command: list[str]) -> tuple[int, str, float]:
    """Exit status of a command, what it printed, and its peak memory in MB."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", LAUNCHER, *command], check=True, stdout=subprocess.PIPE, text=True, cwd=root)
    status, said, peak = json.loads(done.stdout)
    return status, said, peak


def run_child(name: str) -> None:
    """One measured run, in the process that `_child` starts."""
    sources = read_corpora("ja")
    base = load_base("Llama-2").tokenizer if name == "ours" else None
    lines = [line for texts in sources.values() for text in texts for line in text.splitlines() if line.strip()] if base is None else []
    alphabet = _alphabet(lines) if base is None else 0
    cpu, started = time.process_time(), time.perf_counter()
    if base is not None:
        extend_tokenizer(base, corpus_of(sources), BASES["Llama-2"])
    else:
        _train_sentencepiece(lines, BASES["Llama-2"] + alphabet + 3)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu}))


def _alphabet(lines: list[str]) -> int:
    """How many characters SentencePiece takes first, to cover so much of the text."""
    counts = Counter(char for line in lines for char in line if not char.isspace())
    total, share = sum(counts.values()), 0
    for place, (_, count) in enumerate(counts.most_common()):
        if share >= COVERAGE * total:
            return place
        share += count
    return len(counts)


def _train_sentencepiece(lines: list[str], size: int) -> None:
    from sentencepiece import SentencePieceTrainer

    with tempfile.TemporaryDirectory() as folder:
        SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_prefix=str(Path(folder) / "model"),
            vocab_size=size,
            model_type="bpe",
            character_coverage=COVERAGE,
            max_sentence_length=1_000_000,
            num_threads=2,
            minloglevel=2,
        )


def _compare_speed() -> None:
    sources = read_corpora("ja")
    texts = read_jsquad()
    for documents in sources.values():
        texts += documents[:200]
    texts = [line for text in texts for line in text.splitlines()]
    random.Random(0).shuffle(texts)
    while sum(map(len, texts)) > ENCODED_CHARS:
        texts = texts[: len(texts) * 9 // 10]
    chars = sum(map(len, texts))
    for name, number in BASES.items():
        base = load_base(name).tokenizer
        extended = extend_tokenizer(base, corpus_of(sources), number).tokenizer
        runtimes = {"extended": extended.runtime, "base": base.runtime}
        times = alternate({label: (lambda runtime=runtime: cut(runtime, texts)) for label, runtime in runtimes.items()})
        ratio = statistics.median(b / a for a, b in zip(times["extended"], times["base"], strict=True))
        speeds = ", ".join(f"{label} {chars / statistics.median(seconds) / 1e6:.2f} M chars/s" for label, seconds in times.items())
        first = _first_pass(base, extended, texts)
        print(
            f"  encoding {chars:,} Japanese characters, {name}: {speeds}; extended / base, median {ratio:.2f} (first pass of a new runtime {first:.2f})",
            flush=True,
        )


def _first_pass(base: BpeTokenizer, extended: BpeTokenizer, texts: list[str]) -> float:
    """The ratio with an empty cache: a runtime keeps the words that it has cut (a text is cut again in no other use)."""
    ratios = []
    for _ in range(ROUNDS):
        seconds = []
        for tokenizer in (extended, base):
            runtime = BpeTokenizer(tokenizer.spec).runtime
            started = time.perf_counter()
            cut(runtime, texts)
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[1] / seconds[0])
    return statistics.median(ratios)


def _build_large() -> None:
    lines = [line + "\n" for texts in read_corpora("ja").values() for text in texts for line in text.splitlines() if line.strip()]
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        corpus, size = Path(folder) / "large.txt", 0
        with corpus.open("w", encoding="utf-8", newline="\n") as file:
            while size < GIGABYTE:
                documents = ("".join(rng.choices(lines, k=50)) for _ in range(2_000))
                text = "\n".join(documents) + "\n"  # an empty line between documents
                size += len(text.encode("utf-8"))
                file.write(text)
        del lines
        base = DATA / "tokenizers" / "llama2" / "tokenizer.model"
        command = [sys.executable, "-m", "jp_adapt", "tokenizer", "extend", "--base", str(base), "--corpus", str(corpus)]
        command += ["--new-tokens", str(BASES["Llama-2"]), "--out", str(Path(folder) / "out")]
        started = time.perf_counter()
        status, said, peak = _run(command)
        print(f"  {size:,} bytes of text: exit {status}, {time.perf_counter() - started:.0f} s, peak {peak:.0f} MB; it said:")
        print("\n".join(f"    {line}" for line in said.strip().splitlines()[:5]))


if __name__ == "__main__":
    run_child(sys.argv[1])
