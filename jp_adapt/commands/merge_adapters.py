"""LoRA adapters of one base become one adapter, without the base's weights: `write: adapter`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from jp_adapt.commands.merge_parents import PEFT, Adapter, OpenModel
from jp_adapt.commands.merge_plan import MergePlan
from jp_adapt.commands.merge_record import MergeRecord, merge_record
from jp_adapt.core.errors import InputError
from jp_adapt.core.files import write_json
from jp_adapt.core.hashes import sha256_file
from jp_adapt.merging.checkpoint import TensorInfo
from jp_adapt.merging.lora import coefficients, joined_factors
from jp_adapt.merging.merge import merge_tensor
from jp_adapt.merging.plan import EMBEDDING, HEAD, Job
from jp_adapt.merging.table import METHODS
from jp_adapt.model.causal import ADAPTER_CONFIG, ADAPTER_FILE, ROWS_FILE
from jp_adapt.model.lora import LoraSettings, adapter_config
from jp_adapt.model.weight_files import write_tensors
from jp_adapt.recipe.merge import MergeSettings
from jp_adapt.tokenizer.load import SPEC
from jp_adapt.tokenizer.save import copy_tokenizer


def write_adapter(target: Path, models: Mapping[str, OpenModel], merge: MergeSettings, plan: MergePlan) -> MergeRecord:
    """Merge the adapters into one in `target`, exactly: their ranks are put side by side. Returns the record.

    Raises:
        InputError: a model is not an adapter, they are not of one base and one tokenizer, or one holds what a LoRA cannot express.
    """
    adapters = _adapters(models, merge)
    jobs = {name: job for job in plan.jobs for name in job.sources.values()}
    weights = [{name: _weights(jobs[name])[place] for name in adapter.factors} for place, adapter in enumerate(adapters.values())]
    ranks = [adapter.rank for adapter in adapters.values()]
    factors = joined_factors([adapter.factors for adapter in adapters.values()], weights, ranks)
    folder = next(models[name].tokenizer for name in adapters)
    facts = {"dtype": "float32"} | ({"tokenizer_sha256": sha256_file(folder / SPEC)} if folder is not None else {})
    matrices: dict[str, Tensor] = {}
    for name, lora in factors.items():
        plain = PEFT + name.removesuffix(".weight")
        matrices |= {f"{plain}.lora_A.weight": lora.down, f"{plain}.lora_B.weight": lora.up}
    write_tensors(matrices, target / ADAPTER_FILE, facts)
    write_json(target / ADAPTER_CONFIG, adapter_config(LoraSettings(sum(ranks), float(sum(ranks))), matrices))
    rows = {kind: merged for kind, name in (("input", EMBEDDING), ("output", HEAD)) if (merged := _rows(adapters, name, jobs, merge)) is not None}
    if rows:
        write_tensors(rows, target / ROWS_FILE, facts)
    if folder is not None:
        copy_tokenizer(folder, target)
    return replace(merge_record(merge, models, plan), written="adapter", dtype="float32", rank=sum(ranks))


def _adapters(models: Mapping[str, OpenModel], merge: MergeSettings) -> dict[str, Adapter]:
    adapters = {name: model.adapter for name, model in models.items() if model.adapter is not None}
    way = "write: model merges them all the same"
    for name, model in models.items():
        if name != merge.base and model.adapter is None:
            raise InputError(f"write: adapter merges adapters, and '{name}' is a whole model; {way}")
        if model.folder.resolve() != next(iter(models.values())).folder.resolve():
            raise InputError(f"'{name}' belongs to the base {model.folder}, and the others to {next(iter(models.values())).folder}; {way}")
    (first, known), *others = ((name, models[name].vocabulary) for name in adapters)
    for name, vocabulary in others:
        if vocabulary != known:
            raise InputError(f"'{name}' and '{first}' were trained with different tokenizers; {way}")
    for name, adapter in adapters.items():
        if adapter.replaced:
            raise InputError(f"'{name}' trained weights of the base whole ({next(iter(adapter.replaced))}), which no LoRA holds; {way}")
        if any(lora.norms is not None for lora in adapter.factors.values()):
            raise InputError(f"'{name}' is a DoRA, whose norms do not add up; {way}")
    return adapters


def _weights(job: Job) -> list[float]:
    """What each adapter's update of a matrix is multiplied by."""
    share, factors = coefficients(job)
    if not math.isclose(share, 1):
        raise InputError(f"{job.place.name}: the weights add up to {share:g}, which scales the base too; a LoRA cannot: normalize: true, or write: model")
    return factors


def _rows(adapters: Mapping[str, Adapter], name: str, jobs: Mapping[str, Job], merge: MergeSettings) -> Tensor | None:
    """The new rows of the merged adapter: what the method makes of them, the mean of all standing for the base, which has none."""
    rows = {model: adapter.new_rows[name].to(torch.float32) for model, adapter in adapters.items() if name in adapter.new_rows}
    if not rows:
        return None
    mean = torch.stack(list(rows.values())).mean(dim=0)
    method = METHODS[merge.method]
    tensors = ({merge.base: mean} if method.base and merge.base is not None else {}) | {model: rows.get(model, mean) for model in adapters}
    job = replace(jobs[name], info=TensorInfo(tuple(mean.shape), torch.float32))
    return merge_tensor(method, job, tensors, base=merge.base, seed=merge.seed)
