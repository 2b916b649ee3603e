"""The gate before a GGUF file appears: what was written is read back by the reader and held against the folder, every field, token and weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType as Kind

from jp_adapt.core.errors import GateError, JpAdaptError
from jp_adapt.export.gguf_folder import read_tokenizer, read_vocabulary, token_ids
from jp_adapt.export.gguf_source import GgufSource, as_float32
from jp_adapt.export.gguf_write import Block, blocks, in_order
from jp_adapt.model.gguf import dequantized_rows, expected_tensors, model_config
from jp_adapt.model.gguf_file import GgufFile
from jp_adapt.model.gguf_tensors import Array, rope_parameters
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.verify import HOSTILE_TEXTS, LLAMA_CPP_CHECK

PROBE_TEXTS = (
    *HOSTILE_TEXTS,
    LLAMA_CPP_CHECK,
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "2026年11月29日(日)、東京は晴れ。気温は１４．５℃で、ﾌﾟﾛｸﾞﾗﾐﾝｸﾞ日和です。",
    "The quick brown fox jumps over the lazy dog; it's 3.14 times as quick as I'd thought, isn't it?",
    "def main(argv: list[str]) -> int:\n    return sum(len(item)  for item in argv[1:])  # 数える\n\n\n\tx\n",
    "  二つの空白で始まる行\n　全角の空白で始まる行\n\n\n改行が三つ",
)
# Type -> numbers in a block, and the largest error as a share of the block's largest number: what rounding gives (tests/perf/export_types.py), and room.
_TOLERANCE = {
    Kind.F16: (1, 2.0**-11),
    Kind.BF16: (1, 2.0**-8),
    Kind.Q8_0: (32, 0.006),
    Kind.Q5_1: (32, 0.045),
    Kind.Q5_0: (32, 0.075),
    Kind.Q4_1: (32, 0.09),
    Kind.Q4_0: (32, 0.15),
    Kind.Q6_K: (256, 0.05),
    Kind.Q5_K: (256, 0.10),
    Kind.Q4_K: (256, 0.18),
}
_TINY = 1e-6  # below the smallest scale that float16 holds


def check_file(source: GgufSource, path: Path) -> None:
    """GateError where the file does not hold what the folder holds."""
    try:
        file = GgufFile(path)
        config = model_config(file)
        expected_tensors(file, config)
        tokenizer = read_tokenizer(file, token_ids(file)).tokenizer
        vocabulary = read_vocabulary(file)
    except JpAdaptError as error:
        raise GateError(f"the file that was written cannot be read back ({error}); it was not kept") from error
    differing = list(_differing_fields(source, file, config))
    if differing:
        raise GateError(f"the file differs from {source.folder} in {', '.join(differing)}; it was not kept")
    for name in ("model", "pre", "tokens", "types", "scores", "merges", "add_bos", "add_eos", "add_space_prefix"):
        read, meant = getattr(vocabulary, name), getattr(source.vocabulary, name)
        if read != meant:
            raise GateError(f"the tokenizer's {name} were not written as they are; the file was not kept")
    _check_tokenizer(source, tokenizer)
    _check_weights(source, file)


def _differing_fields(source: GgufSource, file: GgufFile, read: Mapping[str, Any]) -> Iterator[str]:
    """Names of what config.json, the ids of special tokens and the chat template tell otherwise."""
    meant = source.config
    heads = meant["num_attention_heads"]
    defaults = {
        "num_key_value_heads": heads,
        "head_dim": meant["hidden_size"] // heads,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 2048,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
    }
    same = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", *defaults)
    for name in same:
        value = meant.get(name)
        if np.float32(read[name]) != np.float32(defaults[name] if value is None else value):
            yield name
    wanted, results = rope_parameters(meant, str(source.folder)), rope_parameters(read, str(file.path))
    for name in wanted.keys() | results.keys():
        entry, other = wanted.get(name), results.get(name)
        if entry != other and not (isinstance(entry, int | float) and isinstance(other, int | float) and np.isclose(entry, other, rtol=1e-6)):
            yield f"{name} of its rope parameters"
    if token_ids(file) != source.ids:
        yield "the ids of its special tokens"
    if file.fields.get("tokenizer.chat_template") != source.templates.get("default"):
        yield "its chat template"


def _check_tokenizer(source: GgufSource, read: BpeTokenizer) -> None:
    """The tokenizer that the file's fields make cuts every probe as the folder's does, with the texts of special tokens in them and without."""
    if source.vocabulary.note is not None:
        return  # said to differ
    meant = source.loaded.tokenizer
    special = [f"日本{text} one" for text in sorted(meant.special_texts)[:64]]
    for text in (*PROBE_TEXTS, *special):
        if read.runtime.encode(text).ids != meant.runtime.encode(text).ids:
            raise GateError(f"the tokenizer that the file makes cuts {text[:40]!r} otherwise than that of {source.folder}; the file was not kept")


def _check_weights(source: GgufSource, file: GgufFile) -> None:
    def compare(block: Block) -> str | None:
        tensor = block.tensor
        meant, stored = as_float32(source.rows(tensor, block.start, block.end)), _stored(file, block)
        return None if is_near(meant, stored, Kind(file.tensors[tensor.gguf].kind), source.stored_type(tensor)) else tensor.name

    for wrong in in_order(compare, blocks(source.tensors)):
        if wrong is not None:
            raise GateError(f"{wrong} was not written as it is; the file was not kept")


def _stored(file: GgufFile, block: Block) -> Array:
    tensor = block.tensor
    if len(tensor.shape) == 1:  # one row in the file
        return tensor.rows_from_gguf(dequantized_rows(file, tensor.gguf))[block.start : block.end]
    return tensor.rows_from_gguf(dequantized_rows(file, tensor.gguf, block.start, block.end))


def is_near(meant: Array, stored: Array, kind: Kind, dtype: str) -> bool:
    """Whether `stored` is what `meant` rounds to: equal where the type holds every value of `dtype`, else within the type's tolerance."""
    if kind == Kind.F32 or kind.name == dtype:
        return bool(np.array_equal(meant, stored))
    size, share = _TOLERANCE[kind]
    error, largest = np.abs(meant - stored).reshape(-1, size), np.abs(meant).reshape(-1, size)
    return bool((error.max(1) <= share * largest.max(1) + _TINY).all())
