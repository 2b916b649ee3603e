#!/usr/bin/env bash
# fastokens 0.3.5 runs the regular expressions of a tokenizer.json by another engine than tokenizers 0.23.3 does, and \b differs: with digits grouped by threes from the right
# (\d{1,3}(?=(?:\d{3})*\b)), "1234①" is cut 1|234 by tokenizers and 123|4 by fastokens, because ① is a character of a word to one engine only. "1234" alone and "1234a" are cut alike.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fastokens==0.3.5 tokenizers==0.23.3
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import fastokens
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

print("fastokens", version("fastokens"), "tokenizers", version("tokenizers"))
peer = Tokenizer(models.BPE())
grouped = pre_tokenizers.Split(Regex(r"\d{1,3}(?=(?:\d{3})*\b)|\D"), behavior="isolated")
peer.pre_tokenizer = pre_tokenizers.Sequence([grouped, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
peer.decoder = decoders.ByteLevel()
numbers = [f"{number}" for number in (234, 123)]
trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
peer.train_from_iterator(numbers * 9, trainer)
fast = fastokens.Tokenizer.from_json_str(peer.to_str())
differ = {}
for text in ("1234", "1234a", "1234①"):
    ours, theirs = (" ".join(peer.id_to_token(token) for token in ids) for ids in (peer.encode(text).ids, fast.encode(text).ids))
    differ[text] = ours != theirs
    print(f"{text}: tokenizers {ours}, fastokens {theirs}")
assert differ == {"1234": False, "1234a": False, "1234①": True}
PY
