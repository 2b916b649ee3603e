"""The peers of `corpus prepare` as a command: HojiChar's filters, then datatrove's MinHash (signatures, buckets, clusters, filter), on datatrove's executor.

    python -m tests.perf.corpus_peers FOLDER OUT PROCESSES     # FOLDER/corpus-*.jsonl

HojiChar has nothing for mojibake, markup and benchmarks, and neither makes tokens: this does less than a corpus recipe. datatrove splits Japanese into words
with spaCy; here it is given characters, which is much cheaper. Needs the extra "perf".
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.perf.corpus_data import FILES

BUCKETS, HASHES = 28, 8  # 224 hashes, as many as our signatures have


def hojichar_chain() -> Callable[[str], str]:
    """The filters that do the like of ours; a text that is dropped comes back empty."""
    from hojichar import Compose, document_filters

    return Compose(
        [
            document_filters.DocumentNormalizer(),
            document_filters.AcceptJapanese(),
            document_filters.DocumentLengthFilter(min_doc_len=20, max_doc_len=10_000_000),
            document_filters.DiscardRareKuten(max_average_sentence_length=1500),
            document_filters.DiscardAds(max_allowed_num=1000),
            document_filters.CharRepetitionRatioFilter(threshold=0.9, ngram_size=10),
            document_filters.MaskPersonalInformation(),
        ]
    )


def minhash_config(buckets: int = BUCKETS, hashes: int = HASHES) -> Any:
    from datatrove.pipeline.dedup.minhash import MinhashConfig

    return MinhashConfig(n_grams=3, num_buckets=buckets, hashes_per_bucket=hashes)


def signer(folder: str, buckets: int = BUCKETS, hashes: int = HASHES) -> Any:
    """datatrove's block for signatures, over characters."""
    import xxhash
    from datatrove.pipeline.dedup import minhash

    class Characters:
        @staticmethod
        def word_tokenize(text: str) -> list[str]:
            return list(text)

    minhash.load_word_tokenizer = lambda language: Characters()  # its own need spaCy and a model
    made = minhash.MinhashDedupSignature(folder, config=minhash_config(buckets, hashes))
    made._hash_func = lambda data: xxhash.xxh64_intdigest(data.encode("utf-8"))  # datatrove 0.10 passes str, which xxhash 4 refuses
    return made


class Filter:
    """HojiChar's chain as a block."""

    def __call__(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        chain = hojichar_chain()
        for document in data:
            document.text = chain(document.text)
            if document.text:
                yield document


def main(folder: Path, out: Path, processes: int) -> None:
    from datatrove.executor.local import LocalPipelineExecutor
    from datatrove.pipeline.dedup.minhash import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    kept, signatures, buckets, removed, left = (str(out / name) for name in ("kept", "signatures", "buckets", "removed", "left"))

    def run(name: str, blocks: list[Any], tasks: int) -> None:
        workers = min(tasks, processes)
        LocalPipelineExecutor(blocks, tasks=tasks, workers=workers, logging_dir=str(out / "logs" / name), start_method="fork").run()

    run("filter", [JsonlReader(str(folder), glob_pattern="corpus-*.jsonl"), Filter(), JsonlWriter(kept), signer(signatures)], FILES)
    run("buckets", [MinhashDedupBuckets(signatures, buckets, config=minhash_config())], BUCKETS)
    run("cluster", [MinhashDedupCluster(buckets, removed, config=minhash_config())], 1)
    run("left", [JsonlReader(kept), MinhashDedupFilter(removed), JsonlWriter(left)], FILES)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
