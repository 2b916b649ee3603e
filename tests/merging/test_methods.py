"""Each merge method: equal to mergekit where definitions agree, to its paper's formula elsewhere, and exact where nothing differs."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jp_adapt.core.errors import UsageError
from jp_adapt.merging import blocks, methods
from jp_adapt.merging.sparsify import drop_at_random, drop_by_rank, mask_seed
from tests.perf.merging_golden import inputs

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))["cases"]
BASE, A, B, C = inputs()

OURS = {
    "linear": lambda: methods.linear([A, B, C], [0.7, 0.3, 0.4]),
    "linear_sum": lambda: methods.linear([A, B], [0.7, 0.4], normalize=False),
    "slerp": lambda: methods.slerp([BASE, A], 0.3),
    "task_arithmetic": lambda: methods.task_arithmetic(BASE, [A, B], [0.7, 0.5]),
    "task_arithmetic_mean": lambda: methods.task_arithmetic(BASE, [A, B], [0.7, 0.5], normalize=True, scale=1.2),
    "ties": lambda: methods.ties(BASE, [A, B, C], [0.7, 0.5, 0.6], [0.4, 0.6, 0.5]),
    "ties_sum": lambda: methods.ties(BASE, [A, B], [0.7, -0.5], [0.4, 0.6], normalize=False, scale=0.8),
    "model_stock": lambda: methods.model_stock(BASE, [A, B, C]),
    "sce": lambda: methods.sce(BASE, [A, B, C], topk=0.5),
    "sce_all": lambda: methods.sce(BASE, [A, B]),
}


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.view(torch.int32 if tensor.dtype == torch.float32 else torch.int16)


@pytest.mark.parametrize("case", GOLDEN)
def test_equals_what_mergekit_computed(case):
    expected = torch.tensor(GOLDEN[case]).view(BASE.shape)
    assert float((OURS[case]() - expected).abs().max()) < 1e-6
    assert float((expected - BASE).abs().max()) > 1e-3


def test_every_golden_case_is_computed():
    assert OURS.keys() == GOLDEN.keys()


# What each method makes of models that are all the base.
IDENTITIES = {
    "linear": lambda x: methods.linear([x, x, x], [0.3, 0.3, 0.4]),
    "slerp": lambda x: methods.slerp([x, x], 0.37),
    "task_arithmetic": lambda x: methods.task_arithmetic(x, [x, x], [0.7, 1.3]),
    "ties": lambda x: methods.ties(x, [x, x, x], [0.7, 0.5, -0.3], [0.4, 0.6, 1.0]),
    "dare_linear": lambda x: methods.dare_linear(x, [x, x], [0.7, 0.5], [0.4, 0.6], [1, 2]),
    "dare_ties": lambda x: methods.dare_ties(x, [x, x], [0.7, 0.5], [0.4, 0.6], [1, 2]),
    "della_linear": lambda x: methods.della_linear(x, [x, x], [0.7, 0.5], [0.4, 0.6], [0.1, 0.2], [1, 2]),
    "della": lambda x: methods.della(x, [x, x], [0.7, 0.5], [0.4, 0.6], [0.1, 0.2], [1, 2]),
    "model_stock": lambda x: methods.model_stock(x, [x, x]),
    "sce": lambda x: methods.sce(x, [x, x], topk=0.5),
    "passthrough": lambda x: methods.passthrough([x], [1.0]),
}


@pytest.mark.parametrize("method", IDENTITIES)
@settings(max_examples=30, deadline=None)
@given(values=hnp.arrays(np.float32, st.sampled_from([(1,), (7,), (3, 5), (2, 3, 4)]), elements=st.floats(-(2.0**60), 2.0**60, width=32)))
def test_identical_models_come_back_to_the_bit(method, values):
    model = torch.from_numpy(values)
    assert torch.equal(bits(IDENTITIES[method](model).contiguous()), bits(model))


@pytest.mark.parametrize("method", IDENTITIES)
def test_identical_models_in_bfloat16_come_back_to_the_bit(method):
    model = torch.randn(40, 300, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    model[0, :5] = -0.0
    assert torch.equal(bits(IDENTITIES[method](model).to(torch.bfloat16)), bits(model))


ONE, OTHER = torch.randn(2, 30, 40, generator=torch.Generator().manual_seed(2))  # two models with nothing in common


@pytest.mark.parametrize(
    "merged",
    [
        lambda: methods.linear([OTHER, ONE], [0.0, 1.0]),
        lambda: methods.slerp([OTHER, ONE], 1.0),
        lambda: methods.slerp([ONE, OTHER], 0.0),
        lambda: methods.task_arithmetic(OTHER, [ONE], [1.0]),
        lambda: methods.ties(OTHER, [ONE], [0.7], [1.0]),
        lambda: methods.dare_linear(OTHER, [ONE], [1.0], [1.0], [1]),
        lambda: methods.dare_ties(OTHER, [ONE], [1.0], [1.0], [1]),
        lambda: methods.della(OTHER, [ONE], [0.3], [1.0], [0.1], [1]),
    ],
)
def test_a_merge_that_means_one_model_is_that_model_to_the_bit(merged):
    """base + (model - base) is not the model in float32: the sum starts from the model that weighs most."""
    assert not torch.equal(OTHER + (ONE - OTHER), ONE)
    assert torch.equal(merged(), ONE)


@pytest.mark.parametrize("method", OURS)
def test_the_inputs_stay_as_they_are(method):
    before = [tensor.clone() for tensor in (BASE, A, B, C)]
    OURS[method]()
    assert all(torch.equal(old, new) for old, new in zip(before, (BASE, A, B, C), strict=True))


def test_models_of_different_types_merge_in_float32():
    merged = methods.task_arithmetic(BASE.to(torch.bfloat16), [A.to(torch.float16), B], [0.7, 0.5])
    wide = methods.task_arithmetic(BASE.to(torch.bfloat16).float(), [A.to(torch.float16).float(), B], [0.7, 0.5])
    assert torch.equal(merged, wide)


def test_ties_follows_the_papers_steps():
    base = torch.zeros(4)
    first, second = torch.tensor([4.0, -3.0, 2.0, 1.0]), torch.tensor([-1.0, -5.0, 3.0, 2.0])
    # Half is kept: [4, -3, 0, 0] and [0, -5, 3, 0]. All signs agree; the mean of those that are left.
    assert methods.ties(base, [first, second], [1.0, 1.0], [0.5, 0.5]).tolist() == [4.0, -4.0, 3.0, 0.0]
    # All is kept: the sum elects a sign, what disagrees is left out.
    assert methods.ties(base, [first, second], [1.0, 1.0], [1.0, 1.0]).tolist() == [4.0, -4.0, 2.5, 1.5]


def test_dare_keeps_the_density_and_the_expectation():
    difference = torch.ones(200_000)
    kept = drop_at_random(0.3, seed=7)(difference, 0)
    assert abs(float((kept != 0).float().mean()) - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 200_000)
    assert set(kept.unique().tolist()) == {0.0, float(torch.tensor(1.0) / 0.3)}
    assert kept[:20].nonzero().flatten().tolist() == [7, 8, 10, 13, 16, 18]  # the mask of this seed, for all time


def test_della_keeps_large_elements_more_often_and_rescales_each_by_its_own_probability():
    rows = 20_000
    difference = torch.tensor([0.1, -0.4, 0.2, 0.3]).repeat(rows)
    kept = drop_by_rank(0.5, 0.3, seed=3, columns=4)(difference, 0).view(rows, 4)
    chances = torch.tensor([0.2, 0.8, 0.4, 0.6])  # by rank of the magnitude, from 0.5 - 0.3 to 0.5 + 0.3
    assert torch.allclose((kept != 0).float().mean(dim=0), chances, atol=4 * math.sqrt(0.25 / rows))
    assert torch.allclose(kept.max(dim=0).values[0], torch.tensor(0.1 / 0.2))
    assert torch.allclose(kept.min(dim=0).values[1], torch.tensor(-0.4 / 0.8))


def test_masks_depend_on_seed_model_and_tensor_alone():
    """The number is pinned: another one would make other models of the same recipes."""
    seeds = {mask_seed(seed, model, tensor) for seed in (0, 1) for model in ("a", "b") for tensor in ("x", "y")}
    assert len(seeds) == 8
    assert mask_seed(1, "1", "x") != mask_seed(1, "", "1x")
    assert mask_seed(0, "ja", "model.norm.weight") == 0x2EFE2E31C7F9887AE290D015DDBFC537


@pytest.mark.parametrize("method", ["linear", "slerp", "ties", "dare_ties", "della", "model_stock", "sce"])
def test_the_number_of_threads_changes_no_bit(method):
    generator = torch.Generator().manual_seed(5)
    base = torch.randn(400, 700, generator=generator)
    models = [base + 0.1 * torch.randn(400, 700, generator=generator) for _ in range(2)]
    work = {
        "linear": lambda: methods.linear(models, [0.7, 0.3]),
        "slerp": lambda: methods.slerp(models, 0.4),
        "ties": lambda: methods.ties(base, models, [0.7, 0.5], [0.3, 0.5]),
        "dare_ties": lambda: methods.dare_ties(base, models, [0.7, 0.5], [0.3, 0.5], [1, 2]),
        "della": lambda: methods.della(base, models, [0.7, 0.5], [0.3, 0.5], [0.1, 0.1], [1, 2]),
        "model_stock": lambda: methods.model_stock(base, models),
        "sce": lambda: methods.sce(base, models, topk=0.3),
    }[method]
    threads = torch.get_num_threads()
    results = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            results.append(work())
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(bits(result), bits(results[0])) for result in results)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(0, 4), (), (1,), (3, 2)])
def test_tensors_of_any_shape_merge(shape, dtype):
    one, other = torch.full(shape, 1.0), torch.full(shape, 3.0)
    merged = methods.linear([one, other], [0.5, 0.5], dtype=dtype)
    assert merged.dtype == dtype
    assert torch.equal(merged, torch.full(shape, 2.0, dtype=dtype))


def test_other_threads_keep_torchs_number_of_threads():
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        methods.linear([A, B], [0.7, 0.3])
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_where_blocks_begin_changes_no_mask(data):
    columns = data.draw(st.integers(1, 7))
    rows = data.draw(st.integers(2, 9))
    cut = data.draw(st.integers(1, rows - 1)) * columns
    difference = torch.randn(rows * columns, generator=torch.Generator().manual_seed(rows)).mul_(2).round_()  # many are equal
    for drop in (drop_at_random(0.4, 11), drop_by_rank(0.4, 0.2, 11, columns)):
        whole = drop(difference.clone(), 0)
        parts = [drop(difference[:cut].clone(), 0), drop(difference[cut:].clone(), cut)]
        assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (5, 7), (3, blocks.BLOCK // 2 + 1), (2, 3, 4)])
def test_blocks_cover_every_element_once(shape):
    parts = list(blocks.spans(shape))
    assert [index for part in parts for index in range(part.start, part.stop)] == list(range(math.prod(shape)))
    if len(shape) > 1:
        assert all(part.start % shape[-1] == 0 for part in parts)


def test_weights_that_add_up_to_nothing_are_refused():
    with pytest.raises(UsageError, match=r"the weights 0.5, -0.5 add up to 0, so there is no mean; change them, or set normalize: false"):
        methods.linear([A, B], [0.5, -0.5])


def test_zero_vectors_are_interpolated_linearly():
    assert torch.allclose(methods.slerp([torch.zeros(3), torch.ones(3)], 0.25), torch.full((3,), 0.25))


def test_slerp_keeps_the_norm_between_vectors_of_one_norm():
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    middle = methods.slerp([first, second], 0.5)
    assert torch.allclose(middle, torch.full((2,), math.sqrt(0.5)))
