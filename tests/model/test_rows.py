"""New rows: made as said, and parameters of their own."""

from __future__ import annotations

import pytest
import torch

from jp_adapt.model.rows import ExtendedEmbedding, init_new_rows


def test_mean_of_pieces():
    old = torch.arange(12.0).view(4, 3)
    rows = init_new_rows(old, [[0, 2], [3], []])
    assert rows.tolist() == [[3, 4, 5], [9, 10, 11], old.mean(0).tolist()]


def test_mean_is_taken_in_float32():
    old = torch.full((300, 1), 1.0, dtype=torch.bfloat16)
    old[0] = 2.0
    assert init_new_rows(old, [list(range(300))]).item() == pytest.approx(301 / 300)


def test_position_weighted_rows_lean_to_the_last_piece():
    old = torch.tensor([[0.0], [10.0]])
    (row,) = init_new_rows(old, [[0, 1]], method="position_weighted")
    assert row.item() == pytest.approx(10 / 1.7)


def test_norm_matched_rows_have_the_median_norm_and_the_direction_of_the_mean():
    old = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    sources = [[0, 1], [2], [3, 4, 5], []]
    matched, mean = init_new_rows(old, sources, method="norm_matched"), init_new_rows(old, sources)
    assert matched.norm(dim=1).tolist() == pytest.approx([old.norm(dim=1).median().item()] * 4, rel=1e-5)
    assert torch.cosine_similarity(matched, mean).tolist() == pytest.approx([1.0] * 4, abs=1e-5)


def test_unknown_method_is_named():
    with pytest.raises(ValueError, match="'median'; one of mean"):
        init_new_rows(torch.zeros(2, 2), [[0]], method="median")


def test_extended_embedding_equals_one_long_matrix_and_leaves_old_rows_without_gradient():
    old, new = torch.randn(6, 4), torch.nn.Parameter(torch.randn(3, 4))
    ids = torch.tensor([[0, 6, 8, 5], [7, 7, 1, 6]])
    embedding = ExtendedEmbedding(torch.nn.Embedding.from_pretrained(old), new)
    out = embedding(ids)
    assert torch.equal(out, torch.cat([old, new.detach()])[ids])
    out.sum().backward()
    assert new.grad[:, 0].tolist() == [2.0, 2.0, 1.0]
    assert [name for name, parameter in embedding.named_parameters() if parameter.requires_grad] == ["new"]
