#!/usr/bin/env bash
# fastokens 0.3.5, a BPE with byte fallback (Llama-2's kind) whose vocabulary lacks one of the characters of "<0x41>": the six characters become the token of that byte, and are decoded as
# "A". tokenizers 0.23.3 falls back to the bytes of the missing character and gives the six back. With all of the characters in the vocabulary, as Llama-2 has them, both give the same ids,
# so only small or trimmed vocabularies show it.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fastokens==0.3.5 tokenizers==0.23.3
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import fastokens
from tokenizers import Tokenizer, decoders, models

print("fastokens", version("fastokens"), "tokenizers", version("tokenizers"))
texts = {}
for characters in ("a<x0", "a<>x014"):
    vocab = {"<unk>": 0} | {f"<0x{byte:02X}>": byte + 1 for byte in range(256)}
    vocab |= {character: len(vocab) + place for place, character in enumerate(characters)}
    peer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    peer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    fast = fastokens.Tokenizer.from_json_str(peer.to_str())
    text = "a<0x41>a"
    texts[characters] = peer.decode(peer.encode(text).ids), fast.decode(list(fast.encode(text).ids))
    print(f"vocabulary of the bytes and {characters}: {text} comes back from tokenizers as {texts[characters][0]}, from fastokens as {texts[characters][1]}")
assert texts == {"a<x0": ("a<0x41>a", "aAa"), "a<>x014": ("a<0x41>a", "a<0x41>a")}
PY
