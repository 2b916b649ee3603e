#!/usr/bin/env bash
# fastokens 0.3.5: a run of a million spaces ends in a ValueError ("Max stack size exceeded for backtracking") where the pre-tokenizer splits digits before the byte-level pattern, as
# SmolLM2's does; with the byte-level pattern alone the same run is cut. tokenizers 0.23.3 cuts both, and half a million spaces are no trouble for either. Such runs stand in tables and logs
# of real corpora, and one text ends a whole batch.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fastokens==0.3.5 tokenizers==0.23.3
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import fastokens
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

print("fastokens", version("fastokens"), "tokenizers", version("tokenizers"))
pattern = pre_tokenizers.ByteLevel(add_prefix_space=False)
kinds = {"pattern alone": pattern, "digits, then the pattern": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pattern])}
refused = {}
for kind, pre_tokenizer in kinds.items():
    peer = Tokenizer(models.BPE())
    peer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    peer.train_from_iterator(["hello world 12 34", "a  b   c"], trainer)
    fast = fastokens.Tokenizer.from_json_str(peer.to_str())
    for length in (500_000, 1_000_000):
        text = " " * length
        expected = peer.encode(text).ids
        try:
            assert list(fast.encode(text).ids) == expected
            told = "the same ids"
        except ValueError as error:
            told = f"ValueError: {error}"
        refused[kind, length] = told.startswith("ValueError")
        print(f"{kind}, {length:,} spaces: tokenizers {len(expected):,} ids, fastokens {told}")
assert [key for key, value in refused.items() if value] == [("digits, then the pattern", 1_000_000)]
PY
