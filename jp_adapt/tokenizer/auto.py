"""The tokenizer of a folder as users load it, with `AutoTokenizer` of transformers, compared with its tokenizer.json.

The only module of this room that imports transformers (and torch with it), and only inside of functions: whether a folder's configuration lets its
tokenizer.json be run as it is can only be seen by loading it as TRL, peft, lm-eval and vLLM do.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from jp_adapt.core.files import read_json
from jp_adapt.tokenizer.bpe import BLOCK, cut
from jp_adapt.tokenizer.fuzz import SPECIAL, fuzz_strings

MODEL_CONFIG = "config.json"
DEFAULT_MODEL = {"model_type": "llama"}  # where no config.json says what the model is
WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf"})
IDS_ALONE = {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
CANNOT_LOAD = "AutoTokenizer cannot load the folder"
NUM_FUZZ = 2000
NUM_WITH_SPECIAL = 500  # texts that are also compared with what the tokenizer puts around a text
# What chats begin with, and leading spaces before each kind of character: where a class that builds the pre-tokenizer anew goes another way.
PROMPTS = (
    "<s>[INST] 日本",
    "<s>[INST] <<SYS>>\nあなたは誠実です。\n<</SYS>>\n\n日本の首都は？ [/INST]",
    "<|im_start|>user\n日本<|im_end|>\n<|im_start|>assistant\n",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n日本<|eot_id|>",
    "### 指示:\n日本\n\n### 応答:\n",
    *(f"{spaces}{text}" for spaces in ("", " ", "  ", "\t\t", "\n ", "\u3000") for text in ("日本", "one", "12", "a  12", "▁", "")),
)


def disagreements(folder: Path, model_config: Mapping[str, Any] | None, texts: Sequence[str]) -> tuple[list[str], int]:
    """Texts for which AutoTokenizer on `folder` gives other ids than tokenizer.json run by `tokenizers`; and how many texts were compared.

    Where it cannot load the folder, one text that begins with CANNOT_LOAD says why.

    Args:
        folder: holds tokenizer.json and, as a user has them, its configuration and native model.
        model_config: what config.json says, where the folder has none yet: transformers chooses the class by `model_type` too. The folder is tried as it is
            and with it.
        texts: compared beside prompts, the texts of all added tokens and `NUM_FUZZ` strings of `fuzz_strings`.
    """
    spec = read_json(folder / "tokenizer.json")
    added = [str(token["content"]) for token in spec.get("added_tokens") or ()]
    marked = [text for token in added for text in (token, f" {token} ", f"a{token}b", f"{token} 日本")]
    every = list(dict.fromkeys(chain(PROMPTS, marked, texts, fuzz_strings(NUM_FUZZ, added or SPECIAL))))
    plain = Tokenizer.from_str(json.dumps(spec | {"truncation": None, "padding": None}))
    expected = cache(lambda split: _expected(plain, every, split))
    alone = _load(folder)
    failed: dict[str, None] = dict.fromkeys(_failed(alone, expected, every))
    if model_config is not None and not (folder / MODEL_CONFIG).is_file():
        with linked(folder, {MODEL_CONFIG: json.dumps(model_config)}) as place:
            beside = _load(place)
            if not _same(alone, beside):  # most often they are, and encoding takes far longer
                failed |= dict.fromkeys(_failed(beside, expected, every))
    return list(failed), len(every)


def _load(folder: Path) -> Any:
    """What AutoTokenizer makes of the folder; a text that says why, where it cannot load it."""
    try:
        return load_auto(folder)
    except Exception as error:  # a configuration can name any class, and each raises errors of its own
        return f"{CANNOT_LOAD} ({type(error).__name__}: {' '.join(str(error).split())})"


def _same(tokenizer: Any, other: Any) -> bool:
    """Whether two tokenizers of `load_auto` are one class with the same state, so that they encode alike."""

    def state(loaded: Any) -> str:
        fields = {name: value for name, value in vars(loaded).items() if name != "_tokenizer"}
        return repr(fields).replace(str(loaded.name_or_path), "")

    if isinstance(tokenizer, str) or type(tokenizer) is not type(other) or not hasattr(tokenizer, "backend_tokenizer"):
        return False
    return state(tokenizer) == state(other) and bool(tokenizer.backend_tokenizer.to_str() == other.backend_tokenizer.to_str())


def _expected(plain: Tokenizer, texts: list[str], split: bool) -> tuple[list[list[int]], list[list[int]]]:
    """Ids of all texts, and of the first ones with what the tokenizer puts around a text; `split`: texts of special tokens are cut like others."""
    plain.encode_special_tokens = split
    return cut(plain, texts), [encoding.ids for encoding in plain.encode_batch_fast(texts[:NUM_WITH_SPECIAL])]


def _failed(tokenizer: Any, expected: Callable[[bool], tuple[list[list[int]], list[list[int]]]], texts: list[str]) -> Iterator[str]:
    if isinstance(tokenizer, str):
        yield tokenizer
        return
    every, around = expected(bool(getattr(tokenizer, "split_special_tokens", False)))
    for start in range(0, len(texts), BLOCK):
        block = texts[start : start + BLOCK]
        ids = tokenizer(block, add_special_tokens=False, **IDS_ALONE)["input_ids"]
        yield from (text for text, entry, other in zip(block, ids, every[start : start + BLOCK], strict=True) if entry != other)
    head = texts[:NUM_WITH_SPECIAL]
    ids = tokenizer(head, **IDS_ALONE)["input_ids"]
    yield from (text for text, entry, other in zip(head, ids, around, strict=True) if entry != other)


def load_auto(folder: Path) -> Any:
    """`AutoTokenizer` on a local folder, without remote code and without a look at the hub."""
    from transformers import AutoTokenizer
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        return AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    finally:
        logging.set_verbosity(level)


@contextmanager
def linked(folder: Path, files: Mapping[str, str]) -> Iterator[Path]:
    """A temporary folder with links to what is in `folder`, but for weights, and with the texts `files` by name, which stand for files of that name."""
    with tempfile.TemporaryDirectory(prefix="jp-adapt-") as temporary:
        place = Path(temporary)
        for path in folder.iterdir():
            if path.name in files or path.suffix in WEIGHTS:
                continue
            try:
                (place / path.name).symlink_to(path.resolve())
            except OSError:  # a system without links
                if path.is_file():
                    shutil.copyfile(path, place / path.name)
        for name, text in files.items():
            (place / name).write_text(text, encoding="utf-8")
        yield place
