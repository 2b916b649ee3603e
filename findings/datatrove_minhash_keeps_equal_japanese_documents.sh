#!/usr/bin/env bash
# datatrove 0.10.1: MinHash splits text into words of English unless it is told a language. A Japanese sentence without spaces is one or two such words, and a text with fewer words than an
# n-gram has (5 by default) gets no signature: two equal Japanese documents are both kept, without a warning. With language="ja" one of them goes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    'datatrove==0.10.1' 'spacy==3.8.7' 'SudachiPy==0.7.0' 'SudachiDict-core==20261015' 'xxhash==3.6.0' 'nltk==3.9.2' 'tokenizers==0.22.1' 'orjson==3.11.4'
FOLDER="$folder" "$folder/venv/bin/python" - <<'PY' 2>"$folder/errors.txt" || { tail -5 "$folder/errors.txt"; exit 1; }
import os
from importlib.metadata import version

from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig

print("datatrove", version("datatrove"), "spacy", version("spacy"))
SENTENCE = "今日はとても天気がいいので駅前の公園まで歩いて桜を見に行きました。"


def kept(name: str, **language: str) -> list[str]:
    """Ids of the documents that are left of two equal ones."""
    signatures, buckets, removed = (os.path.join(os.environ["FOLDER"], name, part) for part in ("signatures", "buckets", "removed"))
    config = MinhashConfig()
    documents = lambda: [Document(text=SENTENCE, id=str(number)) for number in range(2)]  # noqa: E731
    MinhashDedupSignature(signatures, config=config, **language).run(documents(), 0, 1)
    for bucket in range(config.num_buckets):
        MinhashDedupBuckets(signatures, buckets, config=config).run(None, bucket, config.num_buckets)
    MinhashDedupCluster(buckets, removed, config=config).run(None, 0, 1)
    return [document.id for document in MinhashDedupFilter(removed).run(documents(), 0, 1)]


default, japanese = kept("default"), kept("japanese", language="ja")
print("kept by default:", default)
print("kept with language='ja':", japanese)
assert default == ["0", "1"]
assert japanese == ["0"]
PY
