"""Weights on disk: what is written is a safetensors folder as transformers reads it, and what is damaged is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from jp_adapt.core.errors import InputError
from jp_adapt.merging.checkpoint import INDEX, FolderWeights, TensorInfo, write_weights

TENSORS = {
    "scalar": torch.tensor(3.5),
    "empty": torch.empty(0, 4),
    "narrow": torch.arange(6, dtype=torch.bfloat16).view(2, 3),
    "wide": torch.arange(5, dtype=torch.float64),
    "half": torch.ones(3, dtype=torch.float16),
    "turned": torch.arange(12.0).view(3, 4).t(),
}
INFOS = {name: TensorInfo(tuple(tensor.shape), tensor.dtype) for name, tensor in TENSORS.items()}


@pytest.mark.parametrize(("shard_bytes", "files"), [(10_000, 1), (50, 3), (1, 6)])
def test_what_is_written_is_read_back_to_the_bit(shard_bytes, files, tmp_path):
    write_weights(tmp_path, INFOS, TENSORS.values(), shard_bytes=shard_bytes)
    paths = sorted(tmp_path.glob("*.safetensors"))
    assert len(paths) == files
    assert (tmp_path / INDEX).is_file() == (files > 1)
    read = {name: tensor for path in paths for name, tensor in load_file(path).items()}
    assert all(torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in TENSORS.items())
    weights = FolderWeights(tmp_path)
    assert weights.tensors == INFOS
    assert all(torch.equal(weights.read(name), tensor) for name, tensor in TENSORS.items())


def test_a_tensor_that_is_not_as_planned_is_never_written(tmp_path):
    with pytest.raises(AssertionError):
        write_weights(tmp_path, INFOS, [tensor.to(torch.float32) for tensor in TENSORS.values()])


def test_damaged_and_missing_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no model.safetensors and no model.safetensors.index.json here, no weights"):
        FolderWeights(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"only pickled weights \(pytorch_model.bin\), which can run code when loaded; convert them to safetensors"):
        FolderWeights(tmp_path)
    save_file({"a": torch.zeros(100)}, tmp_path / "model.safetensors")
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:-10])
    with pytest.raises(InputError, match=r"model.safetensors: not a whole safetensors file .*; fetch it again"):
        FolderWeights(tmp_path)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": "model-00002-of-00002.safetensors"}}), encoding="utf-8")
    with pytest.raises(InputError, match=r"names model-00002-of-00002.safetensors, which is missing; fetch the model again"):
        FolderWeights(tmp_path)


def test_quantised_weights_and_doubled_names_are_refused(tmp_path):
    save_file({"a": torch.zeros(3, dtype=torch.uint8)}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"a is of type U8; only plain floating-point weights merge"):
        FolderWeights(tmp_path)
    for name in ("one", "two"):
        save_file({"a": torch.zeros(3)}, tmp_path / f"{name}.safetensors")
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}), encoding="utf-8")
    with pytest.raises(InputError, match=r"two.safetensors: a stands in one.safetensors too"):
        FolderWeights(tmp_path)


def test_buffers_of_old_checkpoints_are_left_out(tmp_path):
    save_file({"a": torch.zeros(3), "model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(3)}, tmp_path / "model.safetensors")
    assert list(FolderWeights(tmp_path).tensors) == ["a"]


@pytest.mark.parametrize(
    "index", ["{}", "[]", '{"weight_map": {}}', '{"weight_map": ["a"]}', '{"weight_map": {"a": 3}}', '{"weight_map": {"a": "../model.safetensors"}}']
)
def test_an_index_that_names_no_files_is_told(tmp_path: Path, index: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    with pytest.raises(InputError, match=r"index\.json: has no weight_map that gives each tensor its file here; fetch the model again"):
        FolderWeights(tmp_path)
