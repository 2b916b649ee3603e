#!/usr/bin/env bash
# transformers 5.24.0 saves a folder that said PreTrainedTokenizerFast with tokenizer_class TokenizersBackend, a name that transformers 4.57.1 does not know: loading and saving a
# tokenizer once makes the folder unreadable for version 4, though tokenizer.json has not changed.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
for number in 5.24.0 4.57.1; do
    python3 -m venv "$folder/$number"
    "$folder/$number/bin/pip" install --quiet --disable-pip-version-check "transformers==$number"
done
export HF_HUB_OFFLINE=1
"$folder/5.24.0/bin/python" - "$folder" <<'PY'
import json
import sys
from importlib.metadata import version
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer

before, after = Path(sys.argv[1], "before"), Path(sys.argv[1], "after")
before.mkdir()
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.train_from_iterator(["one two"], trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
tokenizer.save(str(before / "tokenizer.json"))
(before / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
AutoTokenizer.from_pretrained(before).save_pretrained(after)
name = json.loads((after / "tokenizer_config.json").read_text())["tokenizer_class"]
print("transformers", version("transformers"), "writes tokenizer_class", name)
assert name == "TokenizersBackend"
PY
"$folder/4.57.1/bin/python" - "$folder" <<'PY'
import sys
from importlib.metadata import version
from pathlib import Path

from transformers import AutoTokenizer

print("transformers", version("transformers"))
print("before:", AutoTokenizer.from_pretrained(Path(sys.argv[1], "before"))("one two")["input_ids"])
try:
    AutoTokenizer.from_pretrained(Path(sys.argv[1], "after"))
except ValueError as error:
    print("after: ValueError:", error)
    assert "TokenizersBackend" in str(error)
else:
    raise AssertionError("the folder loads")
PY
