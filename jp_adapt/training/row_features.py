"""What new tokens have in common: features of each by the tokens that stand beside it in the training text.

Positive pointwise mutual information with the tokens at -2 to +2, reduced by a singular value decomposition (Levy and Goldberg, "Neural word embedding as
implicit matrix factorization", 2014): tokens with like neighbours have like features, and like head rows in the end.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import svds

from jp_adapt.corpus.pack import IGNORED, StepPlan, first_batches
from jp_adapt.training.row_steps import NUM_FEATURES

CONTEXTS = 3_000  # tokens that count as neighbours: the commonest ones
PLACES = (-2, -1, 1, 2)
COUNTED_TOKENS = 5_000_000  # of the training text

Ids = npt.NDArray[np.int64]


def row_features(plan: StepPlan, first: int, count: int) -> npt.NDArray[np.float32]:
    """[W, NUM_FEATURES] features of the new tokens, ids `first` to `first + count - 1`, by the text of `plan`.

    Rows of unit length, and a last column that is 1, so that all share something; of a token that does not occur, zeros. Few tokens leave columns of zeros.
    """
    ids, positions = _text(plan)
    common = np.argsort(-np.bincount(ids), kind="stable")[:CONTEXTS]
    column = np.full(int(ids.max()) + 1, -1)
    column[common] = np.arange(len(common))
    is_new = (ids >= first) & (ids < first + count)
    occurs = np.zeros(count, bool)
    occurs[ids[is_new] - first] = True
    features = np.zeros((count, NUM_FEATURES), np.float32)
    features[occurs, -1] = 1.0
    near = sparse.hstack([_information(ids, positions, is_new, column, first, (count, len(common)), place) for place in PLACES]).tocsr()
    if (columns := min(NUM_FEATURES - 1, min(near.shape) - 1)) < 1 or not near.nnz:
        return features
    left, sizes, _ = svds(near, k=columns, random_state=0)
    values = left * np.sqrt(sizes)
    lengths = np.linalg.norm(values, axis=1)
    known = occurs & (lengths > 1e-9)
    features[known, :columns] = values[known] / lengths[known, None]
    return features


def _text(plan: StepPlan) -> tuple[Ids, Ids]:
    """Tokens of the first steps, and their places in the documents (or parts of documents) that they stand in, each of which begins at 0."""
    tokens: list[Ids] = []
    places: list[Ids] = []
    for batch in first_batches(plan, COUNTED_TOKENS):
        for row in zip(batch.targets, batch.positions, strict=True):
            targets, positions = (np.asarray(part, dtype=np.int64) for part in row)
            tokens.append(targets[targets != IGNORED])
            places.append(positions[targets != IGNORED])
    return np.concatenate(tokens), np.concatenate(places)


def _information(ids: Ids, positions: Ids, is_new: npt.NDArray[np.bool_], column: Ids, first: int, shape: tuple[int, int], place: int) -> sparse.coo_matrix:
    """[W, contexts] positive pointwise mutual information of new tokens and the tokens at `place` from them, in the same document."""
    distance = abs(place)
    later = np.arange(distance, len(ids))[positions[distance:] >= distance]  # those that have a token so far before them in their document
    at, beside = (later, later - distance) if place < 0 else (later - distance, later)
    counted = is_new[at] & (column[ids[beside]] >= 0)
    pairs = sparse.coo_matrix((np.ones(int(counted.sum())), (ids[at][counted] - first, column[ids[beside]][counted])), shape=shape).tocsr()
    by_token, by_context = (np.asarray(pairs.sum(axis=axis)).ravel() for axis in (1, 0))
    entries = pairs.tocoo()
    information = np.log(entries.data * entries.data.sum() / (by_token[entries.row] * by_context[entries.col]))
    return sparse.coo_matrix((np.maximum(information, 0.0), (entries.row, entries.col)), shape=shape)
