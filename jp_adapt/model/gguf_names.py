"""Names of the types that a GGUF file can be written in. Nothing here imports more than Python's own."""

from __future__ import annotations

from typing import Literal, get_args

GgufType = Literal["auto", "F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q5_1", "Q5_0", "Q4_1", "Q4_0"]
GGUF_TYPES: tuple[str, ...] = get_args(GgufType)
K_TYPES = frozenset({"Q6_K", "Q5_K_M", "Q4_K_M"})  # made by ggml's own quantiser, in the package xllamacpp
