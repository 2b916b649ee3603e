"""`llama_model_quantize` of a built libllama: what llama-quantize does. The npm package @node-llama-cpp/linux-x64 3.22.1 has one."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

from jp_adapt.export.gguf_types import FILE_TYPES


class _QuantizeParams(ctypes.Structure):
    """llama_model_quantize_params of llama.h; of what stands behind the fields used here only the room."""

    _fields_ = [
        ("nthread", ctypes.c_int32),
        ("ftype", ctypes.c_int32),
        ("types", ctypes.c_int32 * 2),
        ("flags", ctypes.c_bool * 8),
        ("rest", ctypes.c_void_p * 8),
    ]


_SILENT = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda level, text, data: None)


def quantise(library: Path, full: Path, out: Path, kind: str, threads: int = 0) -> None:
    """Write the GGUF file `full` as one of the type `kind`. `library`: folder of libllama and libggml; 0 threads are as many as there are cores."""
    loaded = _libllama(library)
    params = loaded.llama_model_quantize_default_params()
    params.ftype, params.nthread = int(FILE_TYPES[kind].number), threads
    code = loaded.llama_model_quantize(str(full).encode(), str(out).encode(), ctypes.byref(params))
    assert code == 0, code


@cache
def _libllama(library: Path) -> Any:
    for part in ("libggml-base", "libggml.", "libllama."):
        loaded = ctypes.CDLL(str(next(path for path in library.iterdir() if path.name.startswith(part))), mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(None).ggml_backend_load_all_from_path(str(library).encode())
    loaded.llama_log_set(_SILENT, None)
    loaded.llama_model_quantize_default_params.restype = _QuantizeParams
    loaded.llama_model_quantize.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(_QuantizeParams)]
    return loaded
