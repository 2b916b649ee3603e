"""The types of a GGUF file: which tensor gets which, and how rows of numbers become its blocks.

The first is llama.cpp's own rule (src/llama-quant.cpp, `llama_tensor_get_type_impl`), so that a file is the one that `llama-quantize` writes. The second is
the package gguf's work, and for the K types that of ggml's own quantiser, out of the package xllamacpp.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGML_QUANT_SIZES, LlamaFileType
from gguf import GGMLQuantizationType as Kind
from gguf.quants import quantize

from jp_adapt.core.errors import UsageError
from jp_adapt.core.extras import require_extra
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.model.gguf_names import GGUF_TYPES, K_TYPES
from jp_adapt.model.gguf_tensors import Array, LlamaTensor

_OF_GGML = {Kind.Q4_K, Kind.Q5_K, Kind.Q6_K}
# Of a row that a type's block does not divide (llama-quant.cpp, `tensor_type_fallback`).
_NEXT = {Kind.Q4_K: Kind.Q5_0, Kind.Q5_K: Kind.Q5_1, Kind.Q6_K: Kind.Q8_0}
LAYERS_70B = 80


@dataclass(frozen=True)
class FileType:
    """A type that a file can have: the one of most tensors, the one of the head, and llama.cpp's number for it."""

    name: str
    kind: Kind
    head: Kind
    number: LlamaFileType

    @property
    def needs_ggml(self) -> bool:
        return bool({self.kind, self.head} & _OF_GGML)


def _plain(name: str, number: LlamaFileType, head: Kind | None = None) -> FileType:
    return FileType(name, Kind[name], head or Kind[name], number)


# llama-quantize puts the head of the Q4_x and Q5_x types into Q6_K, which the package gguf cannot make. Q8_0 takes its place here, whether or not xllamacpp is
# installed: a file must not depend on that.
FILE_TYPES = {
    kind.name: kind
    for kind in (
        _plain("F32", LlamaFileType.ALL_F32),
        _plain("F16", LlamaFileType.MOSTLY_F16),
        _plain("BF16", LlamaFileType.MOSTLY_BF16),
        _plain("Q8_0", LlamaFileType.MOSTLY_Q8_0),
        FileType("Q6_K", Kind.Q6_K, Kind.Q6_K, LlamaFileType.MOSTLY_Q6_K),
        FileType("Q5_K_M", Kind.Q5_K, Kind.Q6_K, LlamaFileType.MOSTLY_Q5_K_M),
        FileType("Q4_K_M", Kind.Q4_K, Kind.Q6_K, LlamaFileType.MOSTLY_Q4_K_M),
        _plain("Q5_1", LlamaFileType.MOSTLY_Q5_1, Kind.Q8_0),
        _plain("Q5_0", LlamaFileType.MOSTLY_Q5_0, Kind.Q8_0),
        _plain("Q4_1", LlamaFileType.MOSTLY_Q4_1, Kind.Q8_0),
        _plain("Q4_0", LlamaFileType.MOSTLY_Q4_0, Kind.Q8_0),
    )
}
AUTO = "AUTO"
assert {AUTO.lower(), *FILE_TYPES} == set(GGUF_TYPES)
assert {name for name, kind in FILE_TYPES.items() if kind.needs_ggml} == K_TYPES
_OF_WEIGHTS = {"F32": "F16", "F16": "F16", "BF16": "BF16"}


def file_types(names: Sequence[str], weights: str) -> list[FileType]:
    """The types by name, in any case and without repetition; "auto" is the smallest that loses nothing a model needs: BF16 for bfloat16 weights, else F16.

    bfloat16 has 8 bits of precision, float16 has 11: of weights in float32, which is what LoRA was merged in, BF16 would lose part of what was learned.

    Raises:
        UsageError: an unknown type, one that needs an importance matrix, or one that needs xllamacpp where that is not installed.
    """
    wanted = check_types(names)
    return list(dict.fromkeys(FILE_TYPES[_OF_WEIGHTS[weights] if name == AUTO else name] for name in wanted))


def check_types(names: Sequence[str]) -> list[str]:
    """The names as they are known here, AUTO among them. UsageError as of `file_types`: what is wrong is said before any model is read."""
    wanted = list(dict.fromkeys(name.strip().upper() for name in names))
    for name in wanted:
        _refuse_unknown(name)
    needing = [name for name in wanted if name != AUTO and FILE_TYPES[name].needs_ggml]
    if needing:
        require_extra("gguf", f"type {', '.join(needing)}, which ggml's own quantiser makes", "take Q8_0")
    return wanted


def _refuse_unknown(name: str) -> None:
    if name == AUTO or name in FILE_TYPES:
        return
    if re.fullmatch(r"IQ\d.*|Q2_K_S", name):
        reason = (
            "needs an importance matrix, which llama.cpp measures with llama-imatrix on text of yours; "
            "export F16, and make it with llama-imatrix and llama-quantize, or take Q4_K_M"
        )
    else:
        reason = f"not a type that is exported{did_you_mean(name, list(FILE_TYPES))}; known: {', '.join(GGUF_TYPES)}"
    raise UsageError(f"type {name}: {reason}")


def tensor_kind(tensor: LlamaTensor, file_type: FileType, *, tied: bool, num_layers: int, grouped: bool) -> Kind:
    """The type of a tensor in a file of a type.

    Args:
        tied: whether the embedding is the head too. grouped: whether several heads share keys and values.
    """
    if len(tensor.shape) < 2:
        return Kind.F32
    columns = tensor.shape[-1]
    kind = file_type.kind
    if tensor.gguf == "output.weight" or (tied and tensor.gguf == "token_embd.weight"):
        kind = Kind.Q8_0 if columns % GGML_QUANT_SIZES[kind][0] else file_type.head
    elif file_type.name in ("Q4_K_M", "Q5_K_M"):
        assert tensor.layer is not None or tensor.gguf == "token_embd.weight"
        if _is_part(tensor, "attn_v", "ffn_down") and _more_bits(tensor.layer or 0, num_layers):
            kind = Kind.Q6_K
        elif _is_part(tensor, "attn_v") and num_layers == LAYERS_70B and grouped and kind == Kind.Q4_K:
            kind = Kind.Q5_K
    if columns % GGML_QUANT_SIZES[kind][0]:
        kind = _NEXT.get(kind, kind)
    return Kind.F16 if columns % GGML_QUANT_SIZES[kind][0] else kind


def _is_part(tensor: LlamaTensor, *parts: str) -> bool:
    return any(tensor.gguf.endswith(f".{part}.weight") for part in parts)


def _more_bits(layer: int, num_layers: int) -> bool:
    return layer < num_layers // 8 or layer >= 7 * num_layers // 8 or (layer - num_layers // 8) % 3 == 2


def quantiser(kind: Kind) -> Callable[[Array], Array]:
    """float32 rows [n, columns] -> their stored bytes, uint8 [n, bytes]. It may run in several threads at once."""
    return partial(_by_ggml, int(kind), *GGML_QUANT_SIZES[kind]) if kind in _OF_GGML else partial(_by_gguf, kind)


def _by_gguf(kind: Kind, rows: Array) -> Array:
    stored: Array = quantize(rows, kind)
    return np.ascontiguousarray(stored).view(np.uint8)


def _by_ggml(kind: int, block: int, block_bytes: int, rows: Array) -> Array:
    rows = np.ascontiguousarray(rows, np.float32)
    stored = np.empty((rows.shape[0], rows.shape[1] // block * block_bytes), np.uint8)
    written = _ggml().ggml_quantize_chunk(kind, rows.ctypes.data, stored.ctypes.data, 0, rows.shape[0], rows.shape[1], None)
    assert written == stored.nbytes, (written, stored.shape)
    return stored


@cache
def _ggml() -> Any:
    spec = importlib.util.find_spec("xllamacpp")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(next(iter(spec.submodule_search_locations)))
    library = ctypes.CDLL(str(next(path for path in folder.iterdir() if path.name.startswith("xllamacpp.") and path.suffix in (".so", ".pyd"))))
    # ggml.h: size_t ggml_quantize_chunk(type, const float * src, void * dst, int64_t start, int64_t nrows, int64_t n_per_row, const float * imatrix)
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    return library
