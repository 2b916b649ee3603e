"""Texts as arrays of code points: what is counted or compared character by character goes through whole texts at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """[len(text)] code points; a lone surrogate is one of its own."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
