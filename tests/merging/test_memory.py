"""A merge in memory gives what a merge of files gives, for any settings, and makes only what they can change."""

from __future__ import annotations

import pytest
import torch

from jp_adapt.merging.checkpoint import FolderWeights
from jp_adapt.merging.genome_weights import WeightGenome
from jp_adapt.merging.lora import AdaptedWeights, Factors
from jp_adapt.merging.memory import KEPT_BYTES, MemoryMerge
from jp_adapt.merging.merge import merged_tensors
from jp_adapt.merging.plan import Parent, plan, whole_models
from jp_adapt.merging.table import METHODS

CHANGED = ("model.layers.0.mlp.up_proj.weight", "model.layers.1.self_attn.q_proj.weight")


def adapted(base, seed, rank, *, norms=False):
    """An adapter on two matrices of a folder."""
    draw = torch.Generator().manual_seed(seed)
    weights = FolderWeights(base)
    factors = {}
    for name in CHANGED:
        rows, columns = weights.tensors[name].shape
        down, up = (torch.randn(shape, generator=draw) for shape in ((rank, columns), (rows, rank)))
        factors[name] = Factors(down, up, 0.01, torch.ones(rows) if norms else None)
    return AdaptedWeights(weights, factors, {}, {})


def jobs_of(method, parents, base, settings):
    rows = FolderWeights(parents["base"].weights.folder).tensors["model.embed_tokens.weight"].shape[0]
    return plan(METHODS[method], parents, whole_models(parents), base=base, rows=rows, settings=settings, shared={})


@pytest.mark.parametrize("method", ["linear", "task_arithmetic", "ties", "dare_linear", "della"])
@pytest.mark.parametrize("kind", ["adapters", "folders", "dora"])
def test_it_gives_what_files_give(method, kind, pico, ja, math):
    others = (FolderWeights(ja), FolderWeights(math)) if kind == "folders" else (adapted(pico, 1, 4), adapted(pico, 2, 2, norms=kind == "dora"))
    parents = {"base": Parent(FolderWeights(pico), True), "ja": Parent(others[0], True), "math": Parent(others[1], True)}
    base = "base" if METHODS[method].base else None
    if base is None:
        parents = {name: parent for name, parent in parents.items() if name != "base"} | {"base": parents["base"]}
    memory = MemoryMerge(METHODS[method], parents, base=base, seed=3)
    for weight, density in ((0.7, 0.35), (1.2, 0.5), (0.7, 1.0)):
        own = {"weight": weight} | ({"density": density} if "density" in METHODS[method].per_model else {})
        settings = {"ja": own, "math": {**own, "weight": 0.4}} | ({} if base else {"base": {"weight": 0.3}})
        jobs = jobs_of(method, parents, base, settings)
        whole = {job.place.name: tensor for job, tensor in zip(jobs, merged_tensors(METHODS[method], jobs, parents, base=base, seed=3), strict=True)}
        found = dict(memory.tensors(jobs))
        assert found.keys() == (whole.keys() if kind == "folders" else set(CHANGED))
        for name, tensor in found.items():
            assert torch.allclose(tensor, whole[name], rtol=1e-6, atol=1e-6), name
        plain = FolderWeights(pico)
        assert all(torch.equal(whole[name], plain.read(name)) for name in whole.keys() - found.keys())


@pytest.mark.parametrize("method", ["linear", "task_arithmetic", "ties"])
def test_it_rounds_to_the_type_that_is_written(method, pico):
    parents = {"base": Parent(FolderWeights(pico), True)} | {name: Parent(adapted(pico, seed, 4), True) for seed, name in enumerate(("ja", "math"))}
    base = "base" if METHODS[method].base else None
    settings = {name: {"weight": 0.7} for name in parents if name != base}
    rows = FolderWeights(pico).tensors["model.embed_tokens.weight"].shape[0]
    jobs = plan(METHODS[method], parents, whole_models(parents), base=base, rows=rows, settings=settings, shared={}, dtype=torch.bfloat16)
    found = dict(MemoryMerge(METHODS[method], parents, base=base, seed=0).tensors(jobs))
    assert {*CHANGED} <= found.keys()
    assert {tensor.dtype for tensor in found.values()} == {torch.bfloat16}


def test_thresholds_are_exact_and_found_once(pico, ja, math, monkeypatch):
    parents = {"base": Parent(FolderWeights(pico), True), "ja": Parent(FolderWeights(ja), True), "math": Parent(FolderWeights(math), True)}
    memory = MemoryMerge(METHODS["ties"], parents, base="base", seed=0)
    calls = []
    from jp_adapt.merging import memory as module

    known = module.thresholds
    monkeypatch.setattr(module, "thresholds", lambda *arguments: calls.append(1) or known(*arguments))
    for density in (0.35, 0.5, 0.95):
        jobs = jobs_of("ties", parents, "base", {name: {"weight": 1.0, "density": density} for name in ("ja", "math")})
        whole = merged_tensors(METHODS["ties"], jobs, parents, base="base", seed=0)
        for (_, tensor), wanted in zip(memory.tensors(jobs), whole, strict=True):
            assert torch.equal(tensor, wanted)
    assert len(calls) == 2 * len(jobs)


@pytest.mark.parametrize("method", ["ties", "dare_ties", "della"])
def test_what_is_kept_changes_no_bit(method, pico, monkeypatch):
    parents = {"base": Parent(FolderWeights(pico), True)} | {name: Parent(adapted(pico, seed, 4), True) for seed, name in enumerate(("ja", "math"))}
    matrix = max(FolderWeights(pico).tensors[name].bytes for name in CHANGED)
    reads = []
    read = AdaptedWeights.read
    monkeypatch.setattr(AdaptedWeights, "read", lambda weights, name: reads.append(name) or read(weights, name))
    found, counts = [], []
    for limit in (0, matrix, KEPT_BYTES):
        memory = MemoryMerge(METHODS[method], parents, base="base", seed=3, kept_bytes=limit)
        settings = [{name: {"weight": weight, "density": density} for name in ("ja", "math")} for weight, density in ((0.7, 0.35), (1.2, 0.5), (0.7, 1.0))]
        reads.clear()
        found.append([tensor for own in settings for _, tensor in memory.tensors(jobs_of(method, parents, "base", own))])
        counts.append(len(reads))
        assert 0 <= memory.kept.left <= limit
    assert all(torch.equal(one, other) for made in found[1:] for one, other in zip(found[0], made, strict=True))
    assert counts[0] == 3 * counts[2] == 6 * len(CHANGED)
    assert counts[2] < counts[1] < counts[0]


def test_a_genome_becomes_settings_that_can_be_written():
    genome = WeightGenome(
        {"ja": {"weight": 1.5, "density": 1.0}}, {"weight": (0.0, 1.5), "density": (0.1, 1.0)}, layers=5, groups=2, modules=["self_attn", "mlp"]
    )
    assert [entry.gene.name for entry in genome.genes][:3] == ["ja.weight.0-1.self_attn", "ja.weight.0-1.mlp", "ja.weight.2-4.self_attn"]
    values = {entry.gene.name: 0.123456 for entry in genome.genes}
    settings = genome.settings(genome.written(values))["ja"]
    assert [condition.value for condition in settings["weight"]] == [0.1235] * 5
    assert [condition.value for condition in settings["density"]] == [0.1] * 5
    assert settings["weight"][-1].layers is None
    assert genome.uniform(0.5)["ja.density.2-4.mlp"] == 1.0


def test_what_is_written_keeps_to_bounds_and_adds_up():
    genome = WeightGenome({"ja": {"weight": 1.0, "density": 0.9}}, {"weight": (0.0, 1.0), "density": (0.12, 0.93)}, layers=2, groups=1, normalizes=True)
    for value, expected in ((0.12, 0.15), (0.5, 0.5), (0.93, 0.9)):
        assert genome.written({"ja.weight.0-1": 0.0, "ja.density.0-1": value}) == {"ja.weight.0-1": 0.0001, "ja.density.0-1": expected}
