"""Write GGUF files of several types at once: each tensor is read once, in blocks of rows, so that a block is all that is in memory."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from gguf import GGML_QUANT_SIZES, GGML_QUANT_VERSION, GGUFWriter, RopeScalingType, size_label
from gguf import GGMLQuantizationType as Kind

from jp_adapt.core.errors import InputError
from jp_adapt.core.progress import progress
from jp_adapt.export.gguf_folder import TOKEN_FIELDS
from jp_adapt.export.gguf_source import GgufSource, all_finite, as_float32, texts_of
from jp_adapt.export.gguf_types import FileType, quantiser, tensor_kind
from jp_adapt.model.gguf import ROPE_FIELD
from jp_adapt.model.gguf_tensors import ROPE_FACTORS, Array, LlamaTensor, rope_factors, rope_parameters

BLOCK_NUMBERS = 4_000_000  # of a block of rows: 16 MB as float32
ALIGNMENT = 32
_SAME = {"F32": Kind.F32, "F16": Kind.F16, "BF16": Kind.BF16}
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Block:
    """Rows [start, end) of a tensor."""

    tensor: LlamaTensor
    start: int
    end: int


def blocks(tensors: Sequence[LlamaTensor]) -> Iterator[Block]:
    """Every tensor cut into blocks of whole heads of about `BLOCK_NUMBERS` numbers."""
    for tensor in tensors:
        rows, columns = tensor.shape[0], prod(tensor.shape[1:])
        size = max(1, BLOCK_NUMBERS // columns // tensor.row_step) * tensor.row_step
        for start in range(0, rows, size):
            yield Block(tensor, start, min(rows, start + size))


def in_order(work: Callable[[Block], _Made], todo: Iterator[Block]) -> Iterator[_Made]:
    """`work` of each block, in the blocks' order, on all cores; only a few results wait at a time."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[_Made]] = deque()
        try:
            for block in todo:
                waiting.append(pool.submit(work, block))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def tensor_kinds(source: GgufSource, file_type: FileType) -> dict[str, Kind]:
    """The type of each tensor, by its name in the GGUF file."""
    heads = source.config["num_attention_heads"]
    grouped = (source.config.get("num_key_value_heads") or heads) != heads
    layers = source.config["num_hidden_layers"]
    return {tensor.gguf: tensor_kind(tensor, file_type, tied=source.tied, num_layers=layers, grouped=grouped) for tensor in source.tensors}


def write_files(source: GgufSource, targets: Mapping[FileType, Path]) -> None:
    """Write a file of each type. InputError for a weight that is not a finite number, or that float16 cannot hold."""
    files: list[BinaryIO] = []
    kinds = [tensor_kinds(source, file_type) for file_type in targets]
    try:
        for (file_type, path), of in zip(targets.items(), kinds, strict=True):
            _write_header(source, file_type, of, path)
            files.append(path.open("ab"))
        factors = _factors(source)
        for file in files:
            _pad(file)
            if factors is not None:
                file.write(factors.data)
                _pad(file)

        def encode(block: Block) -> tuple[Block, list[Array]]:
            return block, encoded(source, block, [of[block.tensor.gguf] for of in kinds])

        total = sum(prod(tensor.shape) for tensor in source.tensors)
        with progress("gguf", total // 1_000_000) as advance:
            done = 0
            for block, stored in in_order(encode, blocks(source.tensors)):
                for file, rows in zip(files, stored, strict=True):
                    file.write(rows.data)
                    if block.end == block.tensor.shape[0]:
                        _pad(file)
                done += (block.end - block.start) * prod(block.tensor.shape[1:])
                advance(done // 1_000_000, "million weights")
    finally:
        for file in files:
            file.close()


def encoded(source: GgufSource, block: Block, kinds: Sequence[Kind]) -> list[Array]:
    """A block's rows as bytes of each type, in llama.cpp's order."""
    tensor, dtype = block.tensor, source.stored_type(block.tensor)
    stored = tensor.rows_to_gguf(source.rows(tensor, block.start, block.end))
    if not all_finite(stored):
        raise InputError(f"{source.folder}: {tensor.name} holds a weight that is not a finite number; this model is broken")
    made = []
    numbers = None if set(kinds) == {_SAME[dtype]} else as_float32(stored)
    for kind in kinds:
        if numbers is None or kind == _SAME[dtype]:
            made.append(np.ascontiguousarray(stored))
            continue
        if kind == Kind.F16 and np.abs(numbers).max() > np.finfo(np.float16).max:
            raise InputError(f"{source.folder}: {tensor.name} holds {np.abs(numbers).max():.3g}, beyond what float16 can hold (65,504); take BF16 or F32")
        made.append(quantiser(kind)(numbers))
    return made


def file_bytes(source: GgufSource, file_type: FileType) -> int:
    """The size of a file's tensors."""
    kinds = tensor_kinds(source, file_type)
    return sum(-(-_tensor_bytes(tensor, kinds[tensor.gguf]) // ALIGNMENT) * ALIGNMENT for tensor in source.tensors)


def _tensor_bytes(tensor: LlamaTensor, kind: Kind) -> int:
    block, size = GGML_QUANT_SIZES[kind]
    return int(prod(tensor.shape) // block * size)


def _factors(source: GgufSource) -> Array | None:
    rope = rope_parameters(source.config, str(source.folder))
    return rope_factors(rope, _head_dim(source)) if rope["rope_type"] == "llama3" else None


def _head_dim(source: GgufSource) -> int:
    return int(source.config.get("head_dim") or source.config["hidden_size"] // source.config["num_attention_heads"])


def _pad(file: BinaryIO) -> None:
    file.write(bytes(-file.tell() % ALIGNMENT))


def _write_header(source: GgufSource, file_type: FileType, kinds: Mapping[str, Kind], path: Path) -> None:
    writer = GGUFWriter(path, "llama")
    _add_general(writer, source, file_type)
    _add_model(writer, source)
    _add_tokenizer(writer, source)
    factors = _factors(source)
    if factors is not None:
        writer.add_tensor_info(ROPE_FACTORS, factors.shape, factors.dtype, factors.nbytes, Kind.F32)
    for tensor in source.tensors:
        kind = kinds[tensor.gguf]
        writer.add_tensor_info(tensor.gguf, tensor.shape, np.dtype(np.float32), _tensor_bytes(tensor, kind), kind)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
    finally:
        writer.close()


def _add_general(writer: GGUFWriter, source: GgufSource, file_type: FileType) -> None:
    writer.add_type("model")
    writer.add_name(source.name)
    parameters = sum(prod(tensor.shape) for tensor in source.tensors)
    writer.add_size_label(size_label(parameters, parameters, 0, 0))
    if licence := source.card.get("license"):
        writer.add_license(str(licence))
    if languages := texts_of(source.card.get("language")):
        writer.add_languages(languages)
    writer.add_file_type(file_type.number)
    writer.add_quantization_version(GGML_QUANT_VERSION)


def _add_model(writer: GGUFWriter, source: GgufSource) -> None:
    config, head_dim = source.config, _head_dim(source)
    heads = config["num_attention_heads"]
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config.get("max_position_embeddings", 2048))  # what transformers takes for a Llama that does not say
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_layer_norm_rms_eps(config.get("rms_norm_eps", 1e-6))
    writer.add_vocab_size(len(source.vocabulary.tokens))
    writer.add_rope_dimension_count(head_dim)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    _add_rope(writer, rope_parameters(config, str(source.folder)))


def _add_rope(writer: GGUFWriter, rope: Mapping[str, Any]) -> None:
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "llama3":
        names = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
        writer.add_string(ROPE_FIELD, json.dumps({name: rope[name] for name in names}))
    if rope["rope_type"] in ("linear", "yarn"):
        writer.add_rope_scaling_type(RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        if rope.get("beta_fast") is not None:
            writer.add_rope_scaling_yarn_beta_fast(rope["beta_fast"])
        if rope.get("beta_slow") is not None:
            writer.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])
        if rope.get("attention_factor") is not None:
            # llama.cpp computes YaRN's own factor, 0.1 ln(factor) + 1, whatever `yarn_attn_factor` says, and multiplies it by this one (llama-context.cpp).
            writer.add_rope_scaling_attn_factors(rope["attention_factor"] / (0.1 * float(np.log(rope["factor"])) + 1.0))


def _add_tokenizer(writer: GGUFWriter, source: GgufSource) -> None:
    vocabulary = source.vocabulary
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    if vocabulary.scores is not None:
        writer.add_token_scores(vocabulary.scores)
    writer.add_token_types(vocabulary.types)
    if vocabulary.merges is not None:
        writer.add_token_merges(vocabulary.merges)
    for name, field in TOKEN_FIELDS.items():
        if name in source.ids:
            writer.add_uint32(f"tokenizer.ggml.{field}", source.ids[name])
    writer.add_add_bos_token(vocabulary.add_bos)
    writer.add_add_eos_token(vocabulary.add_eos)
    writer.add_add_space_prefix(vocabulary.add_space_prefix)
    if "default" in source.templates:
        writer.add_chat_template(source.templates["default"])
    others = sorted(name for name in source.templates if name != "default")
    for name in others:
        writer.add_string(f"tokenizer.chat_template.{name}", source.templates[name])
    writer.add_array("tokenizer.chat_templates", others)
